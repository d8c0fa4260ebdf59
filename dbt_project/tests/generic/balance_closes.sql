{# Fails where the stored residual is not the stock balance of its own row. #}
{% test balance_closes(model) %}
select *
from {{ model }}
where (residual_qty_ea is null) <> (opening_qty_ea is null or closing_qty_ea is null)
    or abs(opening_qty_ea + receipts_qty_ea - outbound_qty_ea + adjustments_qty_ea - closing_qty_ea - residual_qty_ea) > 1e-6
{% endtest %}
