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
        count(stock.closing_qty_ea) as closed_items,
        -- Decimal sums do not depend on the order in which threads add up: the same input gives the same bytes.
        cast(sum(cast(coalesce(demand.sales_qty_ea, 0) as decimal(28, 6))) as double) as sales_qty_ea,
        cast(sum(cast(stock.closing_qty_ea * costs.unit_cost_usd as decimal(28, 6))) as double) as on_hand_value_usd,
        max(greatest(stock.available_at_utc, coalesce(demand.available_at_utc, stock.available_at_utc))) as available_at_utc
    from stock
    left join demand using (site_id, service_date, item_id)
    left join {{ ref('int_costs_dated') }} as costs
        on stock.item_id = costs.item_id and stock.service_date >= costs.from_date and stock.service_date < costs.to_date
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

due as (
    select
        lines.order_number, lines.item_id, lines.ship_to_no, lines.site_id, lines.received_date, lines.received_qty_ea, lines.ordered_qty_ea,
        coalesce(promises.first_promised_date, lines.requested_date) as due_date
    from {{ ref('fct_purchase_order_lines') }} as lines
    left join promises using (order_number, item_id)
),

receipts as (
    select order_number, item_id, site_id, event_date, quantity_ea
    from {{ ref('int_order_events_gathered') }}
    where event_code = 'received' and superseded_at_utc is null
),

-- What came after the promise, at the site itself or at one that the line does not name.
late as (
    select due.order_number, due.item_id, due.ship_to_no, sum(receipts.quantity_ea) as late_qty_ea
    from due
    inner join receipts
        on due.order_number = receipts.order_number and due.item_id = receipts.item_id and receipts.event_date > due.due_date
    left join due as placed
        on receipts.order_number = placed.order_number and receipts.item_id = placed.item_id and receipts.site_id = placed.site_id
    where placed.ship_to_no is null or placed.ship_to_no = due.ship_to_no
    group by due.order_number, due.item_id, due.ship_to_no
),

punctual as (
    select
        due.site_id, due.received_date as service_date,
        avg(if(due.received_qty_ea - coalesce(late.late_qty_ea, 0) >= due.ordered_qty_ea - 1e-6 and due.received_date <= due.due_date, 1.0, 0.0))
            as otif_frac
    from due
    left join late using (order_number, item_id, ship_to_no)
    where due.received_date is not null and due.due_date is not null
    group by due.site_id, due.received_date
)

select
    days.site_id,
    days.service_date,
    days.items,
    days.stockout_items,
    days.sales_qty_ea,
    days.on_hand_value_usd,
    -- An item whose stock nobody told is neither in stock nor out of it.
    1.0 - days.stockout_items / nullif(days.closed_items, 0) as in_stock_frac,
    punctual.otif_frac,
    days.available_at_utc
from days
left join punctual using (site_id, service_date)
