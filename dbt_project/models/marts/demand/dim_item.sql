with

seen as (
    {% for source, date in [('product_activity', ''), ('inventory_positions', ''), ('order_lines', ''), ('shipment_lines', ''), ('receipt_lines', '')] %}
    select item_id, min(item_gtin) as item_gtin, min(available_at_utc) as available_at_utc
    from {{ ref('stg_edi__' ~ source) }}
    group by item_id
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

unstated as (
    select seen.item_id, min(seen.item_gtin) as item_gtin, min(seen.available_at_utc) as available_at_utc
    from seen
    left join {{ ref('int_item_aliases') }} as by_id on seen.item_id = by_id.alias
    left join {{ ref('int_item_aliases') }} as by_gtin on seen.item_gtin = by_gtin.alias
    where by_id.alias is null and by_gtin.alias is null
    group by seen.item_id
)

select
    item_id, item_gtin, description, category_code, pack_ea, unit_cost_usd, unit_price_usd, supplier_id, shelf_life_days,
    introduced_date, discontinued_date, true as is_in_master, available_at_utc
from {{ ref('int_items_current') }}
union all
select
    item_id, item_gtin, null, null, 1, null, null, null, null,
    null, null, false, available_at_utc
from unstated
