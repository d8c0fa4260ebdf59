-- Grain: one X12 668 line status code, and whether it refuses the line.
-- A file of codes and not a dbt seed: Dagster runs models without upstream assets in a process of their own, and the in-memory
-- database they would be loaded into ends with it.
{{ config(materialized='ephemeral') }}

select
    response_code, is_refused, meaning
from read_csv('{{ env_var("DBT_PROJECT_DIR", ".") }}/codes/seed_response_codes.csv', header = true, columns = {'response_code': 'varchar', 'is_refused': 'boolean', 'meaning': 'varchar'})
