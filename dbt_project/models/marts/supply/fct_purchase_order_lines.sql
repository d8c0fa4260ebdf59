-- The fold of all events of an order line. `aios_assets/marts/open_orders.py` is the same fold as of any earlier moment; a test
-- holds the two equal.
with

events as (
    select
        *,
        row_number() over (order by {{ sent_order() }}) as event_rank,
        -- One message: its lines for one order and item add up; a later message replaces it.
        dense_rank() over (order by {{ sent_order(lines=false) }}) as message_rank
    from {{ ref('fct_order_events') }}
    where superseded_at_utc is null
),

horizon as (
    select cast(max(available_at_utc) as date) as last_date from events
),

orders as (
    select
        *,
        max(message_rank) over (partition by order_number, item_id) as last_rank
    from events
    where event_code in ('ordered', 'changed', 'cancelled')
),

placed as (
    select
        order_number, item_id,
        coalesce(min(event_date) filter (event_code = 'ordered'), min(event_date)) as order_date,
        arg_max(expected_date, event_rank) filter (expected_date is not null) as requested_date,
        arg_max(source_id, event_rank) filter (source_id is not null) as source_id,
        arg_max(site_id, event_rank) filter (site_id is not null) as site_id,
        arg_max(unit_price_usd, event_rank) filter (unit_price_usd is not null) as unit_price_usd,
        sum(quantity_ea) filter (message_rank = last_rank) as ordered_qty_ea,
        arg_max(event_code, event_rank) = 'cancelled' as is_cancelled,
        max(message_rank) filter (event_code <> 'ordered') as changed_rank,
        coalesce(arg_min(document_id, event_rank) filter (event_code = 'ordered'), arg_min(document_id, event_rank)) as document_id,
        coalesce(arg_min(set_no, event_rank) filter (event_code = 'ordered'), arg_min(set_no, event_rank)) as set_no,
        coalesce(arg_min(segment_no, event_rank) filter (event_code = 'ordered'), arg_min(segment_no, event_rank)) as segment_no,
        min(available_at_utc) as available_at_utc
    from orders
    group by order_number, item_id
),

answers as (
    select *, max(message_rank) over (partition by order_number, item_id) as last_rank
    from events
    where event_code = 'confirmed'
),

confirmed as (
    select
        order_number, item_id,
        sum(quantity_ea) filter (message_rank = last_rank) as confirmed_qty_ea,
        max(message_rank) as confirmed_rank,
        coalesce(
            max(expected_date) filter (message_rank = last_rank),
            arg_max(expected_date, event_rank) filter (expected_date is not null)
        ) as promised_date
    from answers
    group by order_number, item_id
),

notices as (
    select *, max(message_rank) over (partition by order_number, item_id, event_code, reference_id) as last_rank
    from events
    where event_code in ('shipped', 'received')
),

moved as (
    select
        order_number, item_id,
        min(event_date) filter (event_code = 'shipped') as shipped_date,
        sum(quantity_ea) filter (event_code = 'shipped') as shipped_qty_ea,
        max(event_date) filter (event_code = 'shipped') as last_shipped_date,
        arg_max(shipment_id, event_rank) filter (event_code = 'shipped' and shipment_id is not null) as shipment_id,
        arg_max(carrier_id, event_rank) filter (event_code = 'shipped' and carrier_id is not null) as carrier_id,
        min(event_date) filter (event_code = 'received') as received_date,
        max(event_date) filter (event_code = 'received') as last_received_date,
        sum(quantity_ea) filter (event_code = 'received') as received_qty_ea
    from notices
    where message_rank = last_rank
    group by order_number, item_id
),

known as (
    select
        order_number, item_id,
        min(available_at_utc) filter (event_code = 'received') as received_known_at_utc,
        arg_max(expected_date, event_rank) filter (event_code in ('shipped', 'status') and expected_date is not null) as expected_date
    from events
    group by order_number, item_id
),

folded as (
    select
        placed.*,
        confirmed.confirmed_qty_ea,
        confirmed.promised_date,
        moved.shipped_date,
        coalesce(moved.shipped_qty_ea, 0) as shipped_qty_ea,
        moved.shipment_id,
        moved.carrier_id,
        moved.received_date,
        coalesce(moved.received_qty_ea, 0) as received_qty_ea,
        known.received_known_at_utc,
        known.expected_date,
        -- An answer to what was changed afterwards no longer says what is to come.
        greatest(
            case
                when confirmed.confirmed_rank is not null
                    and (placed.changed_rank is null or confirmed.confirmed_rank > placed.changed_rank)
                    then confirmed.confirmed_qty_ea
                else placed.ordered_qty_ea
            end,
            coalesce(moved.shipped_qty_ea, 0)
        ) as due_qty_ea,
        greatest(moved.last_received_date, moved.last_shipped_date, confirmed.promised_date, known.expected_date) as last_sign_date
    from placed
    left join confirmed using (order_number, item_id)
    left join moved using (order_number, item_id)
    left join known using (order_number, item_id)
)

select
    folded.order_number,
    folded.item_id,
    folded.source_id,
    folded.site_id,
    folded.order_date,
    folded.requested_date,
    folded.promised_date,
    folded.expected_date,
    folded.shipped_date,
    folded.received_date,
    folded.ordered_qty_ea,
    folded.confirmed_qty_ea,
    folded.shipped_qty_ea,
    folded.received_qty_ea,
    case
        when folded.is_cancelled then 0
        -- The rest of a part delivery that nobody spoke of for two weeks is not coming.
        when folded.received_qty_ea > 0 and horizon.last_date > folded.last_sign_date + {{ short_close_days() }} then 0
        else greatest(folded.due_qty_ea - folded.received_qty_ea, 0)
    end as open_qty_ea,
    folded.unit_price_usd,
    folded.carrier_id,
    folded.shipment_id,
    folded.is_cancelled,
    folded.document_id,
    folded.set_no,
    folded.segment_no,
    folded.available_at_utc,
    folded.received_known_at_utc
from folded
cross join horizon
