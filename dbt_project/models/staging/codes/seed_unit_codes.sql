-- Grain: one unit of measure code: what it is in eaches, or in kilograms, litres, metres or square metres, and where that factor comes from.
-- A file of codes and not a dbt seed: Dagster runs models without upstream assets in a process of their own, and the in-memory
-- database they would be loaded into ends with it.
{{ config(materialized='ephemeral') }}

select
    unit_code, conversion_code, factor_ea, factor_base, factor_source
from read_csv('{{ env_var("DBT_PROJECT_DIR", ".") }}/codes/seed_unit_codes.csv', header = true, columns = {'unit_code': 'varchar', 'conversion_code': 'varchar', 'factor_ea': 'double', 'factor_base': 'double', 'factor_source': 'varchar'})
