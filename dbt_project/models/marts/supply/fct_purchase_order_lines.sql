-- The fold of all events of an order line, by receiving site. `aios_assets/marts/open_orders.py` is the same fold as of any earlier moment; a test
-- holds the two equal.
with

events as (
    select
        order_number, item_id, event_code, event_date, quantity_ea, expected_date, source_id, site_id, carrier_id, shipment_id,
        unit_price_usd, document_id, set_no, segment_no, available_at_utc,
        -- One message: its lines for one order and item add up; a later message replaces it.
        said_rank as message_rank,
        -- All lines of all messages in order, as one number that needs no sorting.
        ((cast(said_rank as hugeint) * 4294967296 + segment_no) * 4294967296 + line_no) * 8
        + list_position(['cancelled', 'changed', 'confirmed', 'ordered', 'received', 'refused', 'shipped', 'status'], event_code) as event_rank
    from {{ ref('int_order_events_gathered') }}
    where superseded_at_utc is null
),

horizon as (
    select cast(max(available_at_utc) as date) as last_date from events
),

messages as (
    select
        order_number, item_id, message_rank,
        -- A message that names a site for the line names all of them: what it leaves out is no longer ordered.
        bool_or(site_id is not null) as names_sites,
        bool_or(site_id is not null) and sum(quantity_ea) > 0 as splits
    from events
    where event_code in ('ordered', 'changed', 'cancelled')
    group by order_number, item_id, message_rank
),

lines as (
    select
        order_number, item_id,
        max(message_rank) as last_rank,
        max(message_rank) > min(message_rank) as is_restated,
        max(message_rank) filter (splits) as last_split_rank
    from messages
    group by order_number, item_id
),

orders as (
    select events.*, messages.names_sites, lines.last_rank, lines.is_restated, lines.last_split_rank
    from events
    inner join messages using (order_number, item_id, message_rank)
    inner join lines using (order_number, item_id)
    where events.event_code in ('ordered', 'changed', 'cancelled')
),

-- Every site that the line was ever ordered for, with what the newest split of it among sites gives it; none is named: one row.
parts as (
    select
        order_number, item_id, site_id,
        coalesce(sum(quantity_ea) filter (names_sites and message_rank = last_split_rank), 0) as part_ea
    from orders
    where names_sites
    group by order_number, item_id, site_id
    union all
    select order_number, item_id, null, 0
    from orders
    group by order_number, item_id
    having not bool_or(names_sites)
),

sites as (
    select
        order_number, item_id, site_id,
        if(sum(part_ea) over line > 0, part_ea, 1) as part_ea,
        if(sum(part_ea) over line > 0, sum(part_ea) over line, count(*) over line) as whole_ea,
        cast(row_number() over (partition by order_number, item_id order by site_id nulls first) as integer) as ship_to_no
    from parts
    window line as (partition by order_number, item_id)
),

-- A word about the line that names none of its sites is one about all of them, its quantity in proportion to what they ordered.
placed_at as (
    select
        orders.* exclude (quantity_ea),
        sites.ship_to_no,
        if(names_sites or part_ea = whole_ea, quantity_ea, quantity_ea * part_ea / whole_ea) as quantity_ea
    from orders
    inner join sites
        on orders.order_number = sites.order_number and orders.item_id = sites.item_id
        and ((not orders.names_sites and part_ea > 0) or (orders.names_sites and orders.site_id is not distinct from sites.site_id))
),

heard as (
    select
        events.*,
        sites.site_id is null as is_unplaced
    from events
    left join sites on events.order_number = sites.order_number and events.item_id = sites.item_id and events.site_id = sites.site_id
    where events.event_code in ('confirmed', 'shipped', 'received', 'refused', 'status')
),

heard_at as (
    select
        heard.* exclude (quantity_ea),
        sites.ship_to_no,
        if(not is_unplaced or part_ea = whole_ea, quantity_ea, quantity_ea * part_ea / whole_ea) as quantity_ea
    from heard
    inner join sites
        on heard.order_number = sites.order_number and heard.item_id = sites.item_id
        and ((heard.is_unplaced and part_ea > 0) or heard.site_id = sites.site_id)
),

stated as (
    select
        order_number, item_id,
        min(event_date) filter (event_code = 'ordered') as order_date,
        arg_max(expected_date, event_rank) filter (expected_date is not null) as requested_date,
        arg_max(source_id, event_rank) filter (source_id is not null) as source_id,
        arg_max(unit_price_usd, event_rank) filter (unit_price_usd is not null) as unit_price_usd
    from orders
    group by order_number, item_id
),

placed as (
    select
        order_number, item_id, ship_to_no,
        min(event_date) filter (event_code = 'ordered') as order_date,
        min(event_date) as changed_date,
        arg_max(expected_date, event_rank) filter (expected_date is not null) as requested_date,
        arg_max(source_id, event_rank) filter (source_id is not null) as source_id,
        arg_max(unit_price_usd, event_rank) filter (unit_price_usd is not null) as unit_price_usd,
        coalesce(sum(quantity_ea) filter (message_rank = last_rank), 0) as ordered_qty_ea,
        -- All that the newest message says of it is that it goes; or that message leaves it out.
        coalesce(bool_and(event_code = 'cancelled') filter (message_rank = last_rank), true) as is_cancelled,
        max(message_rank) filter (event_code <> 'ordered') as changed_rank,
        coalesce(arg_min(document_id, event_rank) filter (event_code = 'ordered'), arg_min(document_id, event_rank)) as document_id,
        coalesce(arg_min(set_no, event_rank) filter (event_code = 'ordered'), arg_min(set_no, event_rank)) as set_no,
        coalesce(arg_min(segment_no, event_rank) filter (event_code = 'ordered'), arg_min(segment_no, event_rank)) as segment_no,
        min(available_at_utc) as available_at_utc
    from placed_at
    group by order_number, item_id, ship_to_no
),

-- An order sent again with another quantity is a change of it.
totals as (
    select order_number, item_id, ship_to_no, message_rank, sum(quantity_ea) as quantity_ea
    from placed_at
    where is_restated
    group by order_number, item_id, ship_to_no, message_rank
),

turns as (
    select
        order_number, item_id, ship_to_no, message_rank,
        abs(quantity_ea - lag(quantity_ea) over (partition by order_number, item_id, ship_to_no order by message_rank)) > 1e-6 as is_turn
    from totals
),

turned as (
    select order_number, item_id, ship_to_no, max(message_rank) as turned_rank
    from turns
    where is_turn
    group by order_number, item_id, ship_to_no
),

answers as (
    select *, max(message_rank) over (partition by order_number, item_id, ship_to_no) as last_rank
    from heard_at
    where event_code = 'confirmed'
),

confirmed as (
    select
        order_number, item_id, ship_to_no,
        sum(quantity_ea) filter (message_rank = last_rank) as confirmed_qty_ea,
        max(message_rank) as confirmed_rank,
        coalesce(
            max(expected_date) filter (message_rank = last_rank),
            arg_max(expected_date, event_rank) filter (expected_date is not null)
        ) as promised_date
    from answers
    group by order_number, item_id, ship_to_no
),

moved as (
    select
        order_number, item_id, ship_to_no,
        min(event_date) filter (event_code = 'shipped') as shipped_date,
        sum(quantity_ea) filter (event_code = 'shipped') as shipped_qty_ea,
        -- Sent after the newest word of the order itself: if that cancelled it, this comes all the same.
        sum(quantity_ea) filter (event_code = 'shipped' and message_rank > last_rank) as sent_after_qty_ea,
        max(event_date) filter (event_code = 'shipped') as last_shipped_date,
        arg_max(shipment_id, event_rank) filter (event_code = 'shipped' and shipment_id is not null) as shipment_id,
        arg_max(carrier_id, event_rank) filter (event_code = 'shipped' and carrier_id is not null) as carrier_id,
        min(event_date) filter (event_code = 'received') as received_date,
        max(event_date) filter (event_code in ('received', 'refused')) as last_delivered_date,
        sum(quantity_ea) filter (event_code = 'received') as received_qty_ea,
        sum(quantity_ea) filter (event_code = 'refused') as refused_qty_ea
    from heard_at
    inner join lines using (order_number, item_id)
    where event_code in ('shipped', 'received', 'refused')
    group by order_number, item_id, ship_to_no
),

known as (
    select
        order_number, item_id, ship_to_no,
        min(available_at_utc) filter (event_code = 'received') as received_known_at_utc,
        arg_max(expected_date, event_rank) filter (event_code in ('shipped', 'status') and expected_date is not null) as expected_date
    from heard_at
    group by order_number, item_id, ship_to_no
),

folded as (
    select
        placed.* replace (
            coalesce(placed.order_date, stated.order_date, placed.changed_date) as order_date,
            coalesce(placed.requested_date, stated.requested_date) as requested_date,
            coalesce(placed.source_id, stated.source_id) as source_id,
            coalesce(placed.unit_price_usd, stated.unit_price_usd) as unit_price_usd
        ),
        sites.site_id,
        -- An answer to what was changed afterwards no longer says what is to come; one without figures takes the order as it stands.
        confirmed.confirmed_rank > coalesce(greatest(placed.changed_rank, turned.turned_rank), 0) as is_answered,
        if(is_answered, coalesce(confirmed.confirmed_qty_ea, placed.ordered_qty_ea), confirmed.confirmed_qty_ea) as confirmed_qty_ea,
        confirmed.promised_date,
        moved.shipped_date,
        coalesce(moved.shipped_qty_ea, 0) as shipped_qty_ea,
        coalesce(moved.sent_after_qty_ea, 0) as sent_after_qty_ea,
        moved.shipment_id,
        moved.carrier_id,
        moved.received_date,
        coalesce(moved.received_qty_ea, 0) as received_qty_ea,
        coalesce(moved.refused_qty_ea, 0) as refused_qty_ea,
        known.received_known_at_utc,
        known.expected_date,
        greatest(
            if(is_answered, coalesce(confirmed.confirmed_qty_ea, placed.ordered_qty_ea), placed.ordered_qty_ea),
            coalesce(moved.shipped_qty_ea, 0)
        ) as due_qty_ea,
        greatest(moved.last_delivered_date, moved.last_shipped_date, confirmed.promised_date, known.expected_date) as last_sign_date
    from placed
    inner join stated using (order_number, item_id)
    inner join sites using (order_number, item_id, ship_to_no)
    left join turned using (order_number, item_id, ship_to_no)
    left join confirmed using (order_number, item_id, ship_to_no)
    left join moved using (order_number, item_id, ship_to_no)
    left join known using (order_number, item_id, ship_to_no)
)

select
    folded.order_number,
    folded.item_id,
    folded.ship_to_no,
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
    folded.refused_qty_ea,
    case
        -- The rest of a part delivery that nobody spoke of for two weeks is not coming.
        when folded.received_qty_ea + folded.refused_qty_ea > 0 and horizon.last_date > folded.last_sign_date + {{ short_close_days() }} then 0
        when folded.is_cancelled
            then greatest(least(folded.sent_after_qty_ea, folded.shipped_qty_ea - folded.received_qty_ea - folded.refused_qty_ea), 0)
        -- What was refused came and is not on the way; what replaces it is when it is announced.
        else greatest(folded.due_qty_ea - folded.received_qty_ea - folded.refused_qty_ea, 0)
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
