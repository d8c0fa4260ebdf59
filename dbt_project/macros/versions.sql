{# When a version was replaced: the first moment at which a message sent later about the same key was known; null while none is. #}
{% macro superseded_at(key) -%}
min(available_at_utc) over (
    partition by {{ key }} order by set_rank rows between 1 following and unbounded following
)
{%- endmacro %}
