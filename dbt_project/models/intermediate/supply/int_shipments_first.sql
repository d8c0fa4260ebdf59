-- What the first known notice of a shipment says of each order and item in it. Only first statements count, so that no notice which
-- comes later changes what a receipt or a status was known to belong to.
select order_number, item_id, shipment_id, ship_to_id, set_rank, available_at_utc
from {{ ref('int_shipments_versioned') }}
qualify row_number() over (partition by order_number, item_id, shipment_id order by available_at_utc, set_rank) = 1
