{# A price of a partner in our money: none where the document names another currency, since no rate of exchange is known here. #}
{% macro in_our_money(price) %}if({{ is_foreign() }}, null, {{ price }}){% endmacro %}

{# Whether a document names a currency that is not ours (AIOS_CURRENCY). #}
{% macro is_foreign() %}coalesce(currency_code, getvariable('currency')) <> getvariable('currency'){% endmacro %}
