{# When a version was replaced: the first moment at which a message sent later about the same key was known; null while none is.
   `range` where one message says several rows of a key: they do not replace each other. #}
{% macro superseded_at(key, frame='rows') -%}
min(available_at_utc) over (
    partition by {{ key }} order by set_rank {{ frame }} between 1 following and unbounded following
)
{%- endmacro %}
