{# Fails when parent (under its condition) and child (under its own) do not hold the same number of rows. #}
{% test as_many_rows(model, parent, parent_where='true', where_child='true') %}
select parents.n as parent_rows, children.n as child_rows
from (select count(*) as n from {{ parent }} where {{ parent_where }}) as parents,
    (select count(*) as n from {{ model }} where {{ where_child }}) as children
where parents.n <> children.n
{% endtest %}
