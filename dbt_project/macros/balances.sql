{# Whether a stock balance does not close. Pieces close exactly; goods by weight or measure to a thousandth of the largest figure, for partners round
   each figure in a unit of their own, and a shop's scale is verified to that (OIML R 76, class III, up to 3000 intervals).

   balances: versions of balances; items: items with their dimension_code. #}
{% macro breaks_balance(balances, items) -%}
abs({{ balances }}.residual_qty_ea) > 1e-6 + if(
        coalesce({{ items }}.dimension_code, 'each') = 'each', 0.0, 0.001 * greatest(
            abs({{ balances }}.opening_qty_ea), abs({{ balances }}.closing_qty_ea), {{ balances }}.receipts_qty_ea,
            {{ balances }}.sales_qty_ea + {{ balances }}.shipped_qty_ea
        )
    )
{%- endmacro %}
