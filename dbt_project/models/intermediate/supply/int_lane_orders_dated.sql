-- One order line of one lane, with the business days on which its order, its first receipt, its end without one (cancelled, refused by the supplier
-- or at the dock, changed to nothing) and its first promise became known. Only first statements count, so nothing that comes later changes a row: the receiving
-- sites are those of the first message that names one. What names none of them is said of all. A line belongs to a lane from the
-- day on which its source and site are known.
with

events as (
    select
        order_number, item_id, site_id, source_id, event_code, event_date, expected_date, known_date, available_at_utc, said_rank,
        row_number() over (
            partition by order_number, item_id order by available_at_utc, said_rank, segment_no, line_no, event_code
        ) as arrival
    from {{ ref('int_order_events_gathered') }}
    -- What was overtaken on its way never stood.
    where superseded_at_utc is null or superseded_at_utc > available_at_utc
),

sites as (
    select distinct order_number, item_id, site_id, known_date as placed_known_date
    from events
    where event_code = 'ordered' and site_id is not null
    qualify rank() over (partition by order_number, item_id order by available_at_utc, said_rank) = 1
),

placed as (
    select events.* exclude (site_id), sites.site_id, sites.placed_known_date
    from events
    {{ join_sites('events') }}
),

-- Few messages take a line to nothing: they are looked up apart, for all of placed held twice is more than memory at years of orders. One
-- message can speak of several lines of one item; only when all of them come to nothing is nothing to come.
endings as (
    select order_number, item_id, site_id, coalesce(quantity_ea, 1) as quantity_ea, said_rank, available_at_utc, known_date
    from {{ ref('int_order_events_gathered') }}
    where event_code in ('cancelled', 'confirmed', 'changed') and (superseded_at_utc is null or superseded_at_utc > available_at_utc)
        and (order_number, item_id, said_rank) in (
            select (order_number, item_id, said_rank)
            from {{ ref('int_order_events_gathered') }}
            where event_code in ('cancelled', 'confirmed', 'changed') and quantity_ea = 0
        )
),

ended as (
    select order_number, item_id, site_id, min(known_date) as ended_known_date
    from (
        select sites.order_number, sites.item_id, sites.site_id, min(endings.known_date) as known_date
        from endings
        {{ join_sites('endings') }}
        group by sites.order_number, sites.item_id, sites.site_id, endings.said_rank, endings.available_at_utc
        having max(endings.quantity_ea) = 0
    )
    group by order_number, item_id, site_id
),

folded as (
    select
        order_number, item_id, site_id,
        arg_min(source_id, arrival) filter (event_code = 'ordered') as source_id,
        arg_min(event_date, arrival) filter (event_code = 'ordered') as order_date,
        greatest(
            min(known_date) filter (event_code = 'ordered'),
            min(known_date) filter (event_code = 'ordered' and source_id is not null),
            any_value(placed_known_date)
        ) as ordered_known_date,
        arg_min(event_date, arrival) filter (event_code = 'received') as received_date,
        min(known_date) filter (event_code = 'received') as received_known_date,
        min(known_date) filter (event_code = 'refused') as refused_known_date,
        arg_min(expected_date, arrival) filter (event_code = 'confirmed' and expected_date is not null) as promised_date,
        min(known_date) filter (event_code = 'confirmed' and expected_date is not null) as promise_known_date
    from placed
    group by order_number, item_id, site_id
)

select
    concat(source_id, '>', site_id) as lane_id, source_id, site_id, order_number, item_id, order_date, ordered_known_date,
    least(ended_known_date, if(received_known_date <= refused_known_date, null, refused_known_date)) as ended_known_date, received_date,
    -- A receipt counts from the day on which both it and its order were known.
    if(received_known_date is null, null, greatest(received_known_date, received_date, ordered_known_date)) as received_known_date,
    received_date - order_date as lead_time_days,
    if(promise_known_date <= received_known_date, received_date > promised_date, null) as is_late
from folded
left join ended using (order_number, item_id, site_id)
where source_id is not null and ordered_known_date is not null
