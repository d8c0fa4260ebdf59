{# Fails for every key of the parent that the child does not have: no layer step may drop a row without a word. #}
{% test nothing_lost(model, parent, parent_key, child_key, parent_where='true') %}
select distinct {{ parent_key | join(', ') }}
from {{ parent }} as parent
where {{ parent_where }}
    and not exists (
        select 1 from {{ model }} as child
        where {% for column in parent_key -%}
            child.{{ child_key[loop.index0] }} is not distinct from parent.{{ column }}{{ ' and ' if not loop.last }}
        {%- endfor %}
    )
{% endtest %}
