-- What the first known notice of a shipment says of each order and item in it. Only first statements count, so that no notice which
-- comes later changes what a receipt or a status was known to belong to. A shipment for several sites names none of them here.
with

firsts as (
    select *
    from {{ ref('int_shipments_versioned') }}
    qualify rank() over (partition by order_number, item_id, shipment_id order by available_at_utc, set_rank) = 1
)

select
    order_number, item_id, shipment_id,
    if(count(*) = 1, any_value(ship_to_id), null) as ship_to_id,
    set_rank, available_at_utc
from firsts
group by order_number, item_id, shipment_id, set_rank, available_at_utc
