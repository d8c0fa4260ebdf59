{# Fails where a key has not exactly one current version, or where a version ends before it begins. #}
{% test one_current(model, key) %}
select {{ key | join(', ') }}
from {{ model }}
group by {{ key | join(', ') }}
having count(*) filter (is_current) <> 1 or bool_or(superseded_at_utc < available_at_utc)
{% endtest %}
