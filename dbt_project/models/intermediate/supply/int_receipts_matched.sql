-- Receiving advice lines with their order: as named, else the order that the shipment they name was first known to be sent for.
with

shipments as (
    select
        shipment_id, item_id,
        arg_min(order_number, (available_at_utc, set_rank, order_number)) as order_number,
        arg_min(set_rank, (available_at_utc, set_rank, order_number)) as shipment_rank
    from {{ ref('int_shipments_first') }}
    group by shipment_id, item_id
)

select
    lines.set_rank, lines.segment_no, lines.line_no, lines.item_id,
    coalesce(lines.site_id, lines.sender_id) as site_id,
    lines.receipt_id, lines.received_date, lines.shipment_id,
    coalesce(lines.order_number, shipments.order_number) as order_number,
    if(lines.order_number is null, shipments.shipment_rank, null) as shipment_rank,
    lines.quantity_ea
from {{ ref('int_receipt_lines_conformed') }} as lines
left join shipments
    on lines.order_number is null and lines.shipment_id = shipments.shipment_id and lines.item_id = shipments.item_id
where lines.reject_code is null
