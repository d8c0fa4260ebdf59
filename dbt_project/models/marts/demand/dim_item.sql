with

-- One partner's number may come with different GTINs: each is looked up for itself.
seen as (
    {% for source in ['product_activity', 'inventory_positions', 'order_lines', 'order_responses', 'shipment_lines', 'receipt_lines'] %}
    select item_id, item_gtin, min(available_at_utc) as available_at_utc
    from {{ ref('stg_edi__' ~ source) }}
    group by item_id, item_gtin
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

unstated as (
    select item_id, min(item_gtin) as item_gtin, min(available_at_utc) as available_at_utc
    from seen
    where item_id not in (select alias from {{ ref('int_item_aliases') }})
        and (item_gtin is null or item_gtin not in (select alias from {{ ref('int_item_aliases') }}))
    group by item_id
)

select
    item_id, item_gtin, description, category_code, pack_ea, base_unit_code, unit_cost_usd, unit_price_usd, supplier_id, shelf_life_days,
    introduced_date, discontinued_date, true as is_in_master, available_at_utc
from {{ ref('int_items_current') }}
union all
select
    item_id, item_gtin, null, null, 1, null, null, null, null, null,
    null, null, false, available_at_utc
from unstated
