-- Grain: one X12 859 activity code that the marts use.
-- A file of codes and not a dbt seed: Dagster runs models without upstream assets in a process of their own, and the in-memory
-- database they would be loaded into ends with it.
{{ config(materialized='ephemeral') }}

select
    activity_code, measure
from read_csv('{{ env_var("DBT_PROJECT_DIR", ".") }}/codes/seed_activity_codes.csv', header = true, columns = {'activity_code': 'varchar', 'measure': 'varchar'})
