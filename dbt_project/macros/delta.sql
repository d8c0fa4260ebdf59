{# A table in memory, under its enforced contract, then handed to the lake's one writer by the plugin.
   Unlike `external` no file lies between, and an empty model stays empty. #}
{% materialization delta, adapter="duckdb", supported_languages=['sql'] %}
  {%- set built = materialization_table_duckdb() -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- do adapter.store_relation('aios_lake', target, [], this.identifier, 'delta', config) -%}
  {{ return(built) }}
{% endmaterialization %}
