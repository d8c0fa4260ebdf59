with

demand as (
    select site_id, demand_date as service_date, item_id, sales_qty_ea, available_at_utc
    from {{ whole('fct_demand_daily', 'demand_date', 'site_id, demand_date, item_id, sales_qty_ea, available_at_utc, is_current') }}
    where is_current
),

stock as (
    select site_id, inventory_date as service_date, item_id, closing_qty_ea, available_at_utc
    from {{ whole('fct_inventory_daily', 'inventory_date', 'site_id, inventory_date, item_id, closing_qty_ea, available_at_utc, is_current') }}
    where is_current
),

days as (
    select
        stock.site_id, stock.service_date,
        cast(count(*) as integer) as items,
        cast(count(*) filter (stock.closing_qty_ea <= 0) as integer) as stockout_items,
        -- Decimal sums do not depend on the order in which threads add up: the same input gives the same bytes.
        cast(sum(cast(coalesce(demand.sales_qty_ea, 0) as decimal(28, 6))) as double) as sales_qty_ea,
        cast(sum(cast(stock.closing_qty_ea * items.unit_cost_usd as decimal(28, 6))) as double) as on_hand_value_usd,
        max(greatest(stock.available_at_utc, coalesce(demand.available_at_utc, stock.available_at_utc))) as available_at_utc
    from stock
    left join demand using (site_id, service_date, item_id)
    left join {{ ref('int_items_current') }} as items using (item_id)
    group by stock.site_id, stock.service_date
),

promises as (
    select
        order_number, item_id,
        arg_min(expected_date, (available_at_utc, document_id, set_no, segment_no, line_no)) as first_promised_date
    from {{ ref('fct_order_events') }}
    where event_code = 'confirmed' and expected_date is not null
    group by order_number, item_id
),

punctual as (
    select
        lines.site_id, lines.received_date as service_date,
        avg(case
            when lines.received_qty_ea >= lines.ordered_qty_ea
                and lines.received_date <= coalesce(promises.first_promised_date, lines.requested_date) then 1.0
            else 0.0
        end) as otif_frac
    from {{ ref('fct_purchase_order_lines') }} as lines
    left join promises using (order_number, item_id)
    where lines.received_date is not null
        and coalesce(promises.first_promised_date, lines.requested_date) is not null
    group by lines.site_id, lines.received_date
)

select
    days.site_id,
    days.service_date,
    days.items,
    days.stockout_items,
    days.sales_qty_ea,
    days.on_hand_value_usd,
    1.0 - days.stockout_items / days.items as in_stock_frac,
    punctual.otif_frac,
    days.available_at_utc
from days
left join punctual using (site_id, service_date)
