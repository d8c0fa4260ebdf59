{# Fails when parent (under its condition, without the interchanges left out) and child (under its own) do not hold the same number of rows. #}
{% test as_many_rows(model, parent, parent_where='true', where_child='true', left_out=none) %}
select parents.n as parent_rows, children.n as child_rows
from (
        select count(*) as n from {{ parent }}
        {% if left_out %}anti join {{ left_out }} using (document_id, interchange_no){% endif %}
        where {{ parent_where }}
    ) as parents,
    (select count(*) as n from {{ model }} where {{ where_child }}) as children
where parents.n <> children.n
{% endtest %}
