{# Days without a word after which the rest of a part delivery counts as not coming (docs/marts.md). #}
{% macro short_close_days() -%} 14 {%- endmacro %}

{# Control numbers that are numbers sort as numbers. #}
{% macro control_order() -%}
case when regexp_full_match(control_number, '[0-9]{1,18}') then cast(control_number as bigint) end
{%- endmacro %}

{# Days between the dates of two orders of one number after which the second is another order (docs/marts.md). #}
{% macro another_order_days() -%} 270 {%- endmacro %}
