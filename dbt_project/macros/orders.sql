{# The order in which messages speak: by when they were sent, then as the sender numbered them. #}
{% macro sent_order(lines=true) -%}
sent_at_utc nulls first, {{ control_order() }} nulls first, control_number, document_id, set_no
{%- if lines %}, segment_no, line_no, order_number, item_id, event_code{% endif %}
{%- endmacro %}

{# Days without a word after which the rest of a part delivery counts as not coming (docs/marts.md). #}
{% macro short_close_days() -%} 14 {%- endmacro %}

{# Control numbers that are numbers sort as numbers. #}
{% macro control_order() -%}
case when regexp_full_match(control_number, '[0-9]{1,18}') then cast(control_number as bigint) end
{%- endmacro %}
