{# The half-open window of business days that is rebuilt; both ends are null in a full rebuild. #}
{% macro in_window(column, before_days=0) -%}
(getvariable('window_start') is null
    or ({{ column }} >= getvariable('window_start') - {{ before_days }} and {{ column }} < getvariable('window_end')))
{%- endmacro %}

{# The whole history of a windowed mart: what this run rebuilt, and outside its window what the lake holds already. #}
{% macro whole(model, column, columns) -%}
(
    select {{ columns }} from {{ ref(model) }}
    union all
    select {{ columns }} from lake.{{ model }}
    where getvariable('window_start') is not null
        and not ({{ column }} >= getvariable('window_start') and {{ column }} < getvariable('window_end'))
)
{%- endmacro %}

{# The business day whose cut-off is the first at or after an instant: what arrives at the cut-off itself still belongs to it. #}
{% macro known_day(instant) -%}
cast(timezone(getvariable('business_tz'), {{ instant }}) - getvariable('cutoff') - interval 1 microsecond as date)
{%- endmacro %}

{# The instant at which the knowledge of a business day is closed: the cut-off time on the next day. #}
{% macro cutoff_of(day) -%}
timezone(getvariable('business_tz'), cast({{ day }} + 1 as timestamp) + getvariable('cutoff'))
{%- endmacro %}
