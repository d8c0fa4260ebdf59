{# A price of a partner in our money: none where the document names another currency, since no rate of exchange is known here. #}
{% macro in_dollars(price) %}if(coalesce(currency_code, 'USD') = 'USD', {{ price }}, null){% endmacro %}
