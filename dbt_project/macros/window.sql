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

{# The instant of a wall time. Where clocks are put back it comes twice: the first counts, as in the nights' own clock (PEP 495), where
   DuckDB takes the second. Three hours before, the old offset still holds: from there it is the first if it shows that time at all. #}
{% macro first_instant_at(wall) -%}
{%- set first = "(timezone(getvariable('business_tz'), " ~ wall ~ " - interval 3 hours) + interval 3 hours)" -%}
case
    when timezone(getvariable('business_tz'), {{ first }}) = {{ wall }} then {{ first }}
    else timezone(getvariable('business_tz'), {{ wall }})
end
{%- endmacro %}

{# The instant at which the knowledge of a business day is closed: the cut-off time on the next day. #}
{% macro cutoff_of(day) -%}
{{ first_instant_at("cast(" ~ day ~ " + 1 as timestamp) + getvariable('cutoff')") }}
{%- endmacro %}

{# The business day whose cut-off is the first at or after an instant: what arrives at the cut-off itself still belongs to it. #}
{% macro known_day(instant) -%}
{%- set local_day = "cast(timezone(getvariable('business_tz'), " ~ instant ~ ") as date)" -%}
({{ local_day }} - case when {{ instant }} <= {{ cutoff_of(local_day ~ " - 1") }} then 1 else 0 end)
{%- endmacro %}
