-- Shipment lines by order, item, shipment and receiving site, a version per notice, with the stretch in which it was the newest one known: a notice
-- sent again replaces the one before it, and one that arrives after a newer one was never the newest (an empty stretch, left out).
with

totals as (
    select
        lines.order_number, lines.item_id, lines.shipment_id, lines.ship_to_id, lines.set_rank, sets.available_at_utc,
        replaced.superseded_at_utc,
        min(lines.segment_no) as segment_no,
        min(lines.shipped_date) as shipped_date,
        sum(lines.quantity_ea) as quantity_ea
    from {{ ref('int_shipment_lines_conformed') }} as lines
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    {{ join_replaced_shipments() }}
    where lines.reject_code is null and lines.order_number is not null
    group by all
)

select *
from totals
where superseded_at_utc is null or superseded_at_utc > available_at_utc
