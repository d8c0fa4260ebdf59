-- Shipment lines by order and item, the newest notice of each shipment only: a notice sent again replaces the one before.
with

totals as (
    select
        order_number, item_id, shipment_id, set_rank,
        min(segment_no) as segment_no,
        min(shipped_date) as shipped_date,
        max(ship_from_id) as ship_from_id,
        max(sender_id) as sender_id,
        max(ship_to_id) as ship_to_id,
        sum(quantity_ea) as quantity_ea
    from {{ ref('int_shipment_lines_conformed') }}
    where reject_code is null and order_number is not null
    group by order_number, item_id, shipment_id, set_rank
)

select *
from totals
qualify row_number() over (partition by order_number, item_id, shipment_id order by set_rank desc) = 1
