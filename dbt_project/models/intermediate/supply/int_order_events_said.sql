-- Everything said about an order line, in one form: ordered, changed, cancelled, confirmed, shipped, received, refused, status. What names
-- an order by the number of its blanket order alone is still under that number here.
with

parties as (
    select alias, party_id, is_site, from_utc, to_utc from {{ ref('int_party_aliases') }}
),

ordered as (
    select
        order_number, item_id,
        case action_code when 'new' then 'ordered' when 'change' then 'changed' else 'cancelled' end as event_code,
        order_date as event_date,
        if(action_code in ('new', 'change'), quantity_ea, 0) as quantity_ea,
        requested_date as expected_date,
        -- An imported order came to us from ourselves: unless the file names a supplier, none is known.
        coalesce(seller_id, if(set_code = 'orders', null, receiver_id)) as source_id,
        -- A change that names no site leaves the line where it is, wherever the buyer sits.
        coalesce(ship_to_id, if(action_code = 'new', buyer_id, null)) as site_id,
        cast(null as varchar) as carrier_id, cast(null as varchar) as shipment_id, cast(null as varchar) as reference_id,
        {{ in_our_money('unit_price / factor_ea') }} as unit_price_usd,
        set_rank, segment_no, line_no, cast(null as integer) as also_rank,
        cast(null as timestamptz) as matched_at_utc, cast(null as timestamptz) as superseded_at_utc, order_type_code
    from {{ ref('int_order_lines_conformed') }}
    where reject_code is null
),

-- What is said of a whole order is said of each line of it, and known when both are. Whoever has lines of his own under a number that
-- was also given to somebody else speaks of these.
spoken as (
    select
        whole.order_number, first_lines.item_id, whole.action_code, whole.said_date, sets.set_rank, whole.segment_no, whole.line_no,
        coalesce(sellers.party_id, whole.seller_id, if(whole.action_code = 'cancel', null, whole.sender_id)) as teller_id,
        arg_min(first_lines.order_rank, (first_lines.available_at_utc, first_lines.order_rank)) as order_rank,
        min(first_lines.available_at_utc) as ordered_at_utc,
        arg_min(first_lines.order_rank, (first_lines.available_at_utc, first_lines.order_rank))
            filter (first_lines.source_id = teller_id) as own_rank,
        min(first_lines.available_at_utc) filter (first_lines.source_id = teller_id) as own_at_utc
    from {{ ref('stg_edi__whole_orders') }} as whole
    inner join {{ ref('int_sets_ranked') }} as sets
        on whole.document_id = sets.document_id and whole.interchange_no = sets.interchange_no and whole.set_no = sets.set_no
    inner join {{ ref('int_order_lines_first') }} as first_lines using (order_number)
    left join parties as sellers
        on coalesce(whole.seller_id, if(whole.action_code = 'cancel', null, whole.sender_id)) = sellers.alias
        and {{ held_at('sellers') }}
    where whole.action_code <> 'replace'
    group by all
),

-- An order sent in place of one takes back what its sender ordered before under the number and it lists no more, whatever became of the
-- lines that it lists.
dropped as (
    select
        whole.order_number, before.item_id, 'cancelled', whole.said_date, 0, null, null, null, null, null, null, null,
        sets.set_rank, whole.segment_no, whole.line_no, arg_min(before.set_rank, (earlier.available_at_utc, before.set_rank)), null, null, null
    from {{ ref('stg_edi__whole_orders') }} as whole
    inner join {{ ref('int_sets_ranked') }} as sets
        on whole.document_id = sets.document_id and whole.interchange_no = sets.interchange_no and whole.set_no = sets.set_no
    inner join {{ ref('int_order_lines_conformed') }} as before
        on whole.order_number = before.order_number and before.set_rank < sets.set_rank and before.reject_code is null
    inner join {{ ref('int_sets_ranked') }} as earlier on before.set_rank = earlier.set_rank and sets.sender_id = earlier.sender_id
    left join {{ ref('int_order_lines_conformed') }} as listed
        on sets.set_rank = listed.set_rank and before.order_number = listed.order_number and before.item_id = listed.item_id
    where whole.action_code = 'replace' and listed.item_id is null
    group by all
),

reaching as (
    select *, min(own_at_utc) over (partition by set_rank, segment_no, line_no) as any_own_at_utc
    from spoken
),

wholly as (
    select
        order_number, item_id, if(action_code = 'cancel', 'cancelled', 'confirmed'), said_date,
        -- An acceptance gives no figure: it takes the order as it stands.
        if(action_code = 'accept', null, 0), null,
        if(action_code = 'cancel', null, teller_id), null, null, null, null, null,
        set_rank, segment_no, line_no, unnest([order_rank, own_rank]) as also_rank, null, unnest([any_own_at_utc, null]) as until_utc, null
    from reaching
),

confirmed as (
    select
        lines.order_number, lines.item_id, 'confirmed', lines.response_date,
        if(coalesce(codes.is_refused, false), 0, lines.quantity_ea),
        lines.promised_date,
        coalesce(lines.seller_id, lines.sender_id), null, null, null, null, null,
        lines.set_rank, lines.segment_no, lines.line_no, null, null, null, null
    from {{ ref('int_order_responses_conformed') }} as lines
    left join {{ ref('seed_response_codes') }} as codes using (response_code)
    where lines.reject_code is null
),

shipped as (
    select
        lines.order_number, lines.item_id, 'shipped', lines.shipped_date, lines.quantity_ea, lines.expected_date,
        coalesce(lines.ship_from_id, lines.sender_id), lines.ship_to_id, lines.carrier_id, lines.shipment_id, lines.shipment_id, null,
        lines.set_rank, lines.segment_no, lines.line_no, null, null, replaced.superseded_at_utc, null
    from {{ ref('int_shipment_lines_conformed') }} as lines
    {{ join_replaced_shipments() }}
    -- A line of none, as of a notice that is cancelled, says that nothing was shipped.
    where lines.reject_code is null and lines.order_number is not null and lines.quantity_ea <> 0
),

received as (
    select
        order_number, item_id, 'received', received_date, quantity_ea, null,
        null, site_id, null, shipment_id, receipt_id, null,
        set_rank, segment_no, line_no, shipment_rank, null, superseded_at_utc, null
    from {{ ref('int_receipts_matched') }}
    -- Of what was refused altogether, never came or was taken back nothing was received.
    where order_number is not null and quantity_ea <> 0
),

refused as (
    select
        order_number, item_id, 'refused', received_date, refused_ea, null,
        null, site_id, null, shipment_id, receipt_id, null,
        set_rank, segment_no, line_no, shipment_rank, null, superseded_at_utc, null
    from {{ ref('int_receipts_matched') }}
    where order_number is not null and refused_ea > 0
),

received_in_store as (
    select
        order_number, item_id, 'received', received_date, quantity_ea, null,
        null, site_id, null, shipment_id, concat('QR ', received_date), null,
        set_rank, segment_no, line_no, null, available_at_utc, superseded_at_utc, null
    from {{ ref('int_store_receipts_matched') }}
),

-- Two suppliers may number their shipments alike: a status is about the sender whose notice came last before it, else first after it.
travelled as (
    select
        shipments.order_number, shipments.item_id, 'status', cast(statuses.status_at_utc as date), null, statuses.estimated_date,
        null, shipments.ship_to_id, statuses.carrier_id, statuses.shipment_id, null, null,
        sets.set_rank, statuses.segment_no, statuses.line_no, shipments.set_rank, null, null, null
    from {{ ref('stg_edi__shipment_statuses') }} as statuses
    inner join {{ ref('int_sets_ranked') }} as sets
        on statuses.document_id = sets.document_id and statuses.interchange_no = sets.interchange_no and statuses.set_no = sets.set_no
    inner join {{ ref('int_shipments_first') }} as shipments on statuses.shipment_id = shipments.shipment_id
    inner join {{ ref('int_sets_ranked') }} as notices on shipments.set_rank = notices.set_rank
    qualify notices.sender_id is not distinct from first_value(notices.sender_id) over (
        partition by sets.set_rank, statuses.segment_no, statuses.line_no
        order by
            notices.available_at_utc > sets.available_at_utc,
            abs(epoch_us(notices.available_at_utc) - epoch_us(sets.available_at_utc)),
            notices.set_rank
    )
),

events as (
    select * from ordered
    union all select * from wholly where also_rank is not null
    union all select * from dropped
    union all select * from confirmed
    union all select * from shipped
    union all select * from received
    union all select * from refused
    union all select * from received_in_store
    union all select * from travelled
),

dated as (
    select
        events.*,
        sets.document_id, sets.set_no, sets.control_number, sets.sent_at_utc, sets.said_rank,
        -- What is known only through a second message (the shipment a receipt or status belongs to) is known when both are.
        greatest(sets.available_at_utc, also.available_at_utc, events.matched_at_utc) as available_at_utc
    from events
    inner join {{ ref('int_sets_ranked') }} as sets on events.set_rank = sets.set_rank
    left join {{ ref('int_sets_ranked') }} as also on events.also_rank = also.set_rank
),

-- What was ordered under the number of a blanket order stands until that only promises.
placed as (
    select
        case
            when dated.event_code not in ('ordered', 'changed', 'cancelled') or call_offs.order_number is not null then null
            when dated.order_type_code = 'BE' then dated.available_at_utc
            when dated.order_type_code = 'BK' then blankets.called_at_utc
            when dated.event_code <> 'ordered' then blankets.promised_at_utc
        end as promise_at_utc,
        dated.* replace (
            least(dated.superseded_at_utc, if(promise_at_utc is null, null, greatest(promise_at_utc, dated.available_at_utc))) as superseded_at_utc
        ),
        coalesce(call_offs.blanket_number, if(blankets.called_at_utc is null, null, dated.order_number)) as blanket_number,
        call_offs.release_number,
        call_offs.order_number is null as is_bare
    from dated
    left join {{ ref('stg_edi__call_offs') }} as call_offs on dated.order_number = call_offs.order_number
    left join {{ ref('int_blanket_orders_dated') }} as blankets on dated.order_number = blankets.blanket_number
),

-- A number that was given again is another order from the day on which that is dated.
named as (
    select
        placed.* replace (
            coalesce(reused.order_name, placed.order_number) as order_number,
            greatest(placed.available_at_utc, reused.begun_at_utc) as available_at_utc,
            least(placed.superseded_at_utc, reused.ended_at_utc) as superseded_at_utc
        )
    from placed
    left join {{ ref('int_order_numbers_reused') }} as reused
        on placed.order_number = reused.order_number and placed.event_date >= reused.from_date and placed.event_date < reused.until_date
    where (reused.ended_at_utc is null or reused.ended_at_utc > placed.available_at_utc)
        -- What was never said of this line.
        and (
            placed.also_rank is null or placed.superseded_at_utc is null
            or placed.superseded_at_utc > greatest(placed.available_at_utc, reused.begun_at_utc)
        )
)

select
    order_number, item_id, event_code, event_date, quantity_ea, expected_date, source_id, site_id, carrier_id, shipment_id,
    reference_id, unit_price_usd, document_id, set_no, segment_no, line_no, control_number, sent_at_utc, available_at_utc,
    -- Overtaken on its way: it never stood.
    if(superseded_at_utc < available_at_utc, available_at_utc, superseded_at_utc) as superseded_at_utc,
    said_rank,
    -- By which the lines of messages are found again: of equals, sent at one minute under one number by two senders, the ranks may differ.
    set_rank,
    -- The blanket order that an order is called off, or that this names without saying which call-off of it; null for all other orders.
    blanket_number, release_number, is_bare
from named
