{# Fails for every row in which a column that is never null is null. #}
{% test never_null(model, columns) %}
select *
from {{ model }}
where {{ columns | join(' is null or ') }} is null
{% endtest %}
