{# A price of a partner in our money: none where the document names another currency, since no rate of exchange is known here. #}
{% macro in_dollars(price) %}if({{ is_foreign() }}, null, {{ price }}){% endmacro %}

{# Whether a document names a currency that is not ours. #}
{% macro is_foreign() %}coalesce(currency_code, 'USD') <> 'USD'{% endmacro %}
