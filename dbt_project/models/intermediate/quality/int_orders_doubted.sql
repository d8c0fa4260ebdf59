-- What was said about orders that stands nowhere, or for less than it seems, with the stretch in which that was so: receipts and shipments of no
-- order line that we know, deliveries refused, one number given to two suppliers or by two buyers, what a blanket order only promises, a
-- change that names some of several lines of an item.
with

sets as (
    select set_rank, set_code, sender_id, available_at_utc from {{ ref('int_sets_ranked') }}
),

known_lines as (
    select order_number, item_id, min(available_at_utc) as available_at_utc
    from {{ ref('int_order_lines_first') }}
    group by order_number, item_id
),

-- Where no order was ever sent, nobody expects a receipt to close one.
received as (
    select
        receipts.set_rank, receipts.segment_no, receipts.line_no, any_value(receipts.item_id) as item_id, any_value(receipts.site_id) as site_id,
        any_value(receipts.receipt_id) as number, any_value(receipts.received_date) as business_date, sum(receipts.quantity_ea) as quantity_ea,
        min(receipts.order_number) as order_number,
        min(if(known_lines.order_number is null, null, greatest(shipped.available_at_utc, known_lines.available_at_utc))) as placed_at_utc,
        if(bool_or(receipts.superseded_at_utc is null), null, max(receipts.superseded_at_utc)) as replaced_at_utc
    from {{ ref('int_receipts_matched') }} as receipts
    left join known_lines on receipts.order_number = known_lines.order_number and receipts.item_id = known_lines.item_id
    left join sets as shipped on receipts.shipment_rank = shipped.set_rank
    where {{ in_window('receipts.received_date') }} and (receipts.quantity_ea <> 0 or receipts.refused_ea > 0)
        and (receipts.order_number is null or exists (select 1 from known_lines))
    group by receipts.set_rank, receipts.segment_no, receipts.line_no
),

shipped as (
    select
        lines.set_rank, lines.segment_no, lines.line_no, lines.item_id, lines.ship_to_id, lines.shipment_id, lines.shipped_date,
        lines.quantity_ea, lines.order_number, known_lines.available_at_utc, replaced.superseded_at_utc
    from {{ ref('int_shipment_lines_conformed') }} as lines
    left join known_lines on lines.order_number = known_lines.order_number and lines.item_id = known_lines.item_id
    {{ join_replaced_shipments() }}
    where lines.reject_code is null and lines.quantity_ea <> 0 and {{ in_window('lines.shipped_date') }}
        and (lines.order_number is null or exists (select 1 from known_lines))
),

moved as (
    select 'unmatched_receipt' as kind_code, 'receipt' as notice, * from received
    union all
    select 'unmatched_shipment', 'shipment', * from shipped
),

unplaced as (
    select
        moved.kind_code, moved.business_date, moved.item_id, moved.site_id,
        concat(moved.notice, ' ', coalesce(moved.number, '(none)'), ' segment ', moved.segment_no) as subject,
        moved.quantity_ea as value, cast(null as double) as expected_value, abs(moved.quantity_ea) as doubted_ea,
        concat(
            moved.notice, ' ', coalesce(moved.number, '(none)'),
            case
                when moved.order_number is not null then concat(' is for order ', moved.order_number, ', of which we know no line of this item')
                when moved.notice = 'receipt' then ' names neither an order nor a shipment we know'
                else ' names no order'
            end,
            if(moved.notice = 'receipt', '; it counts as stock and closes no order', '; it leaves the shipping site and counts towards no order')
        ) as reason,
        moved.set_rank, sets.available_at_utc, least(moved.placed_at_utc, moved.replaced_at_utc) as superseded_at_utc
    from moved
    inner join sets using (set_rank)
),

orders as (
    select order_number, item_id, order_line, action_code, order_date, quantity_ea, seller_id, set_code, receiver_id, order_type_code, set_rank, segment_no
    from {{ ref('int_order_lines_conformed') }}
    where reject_code is null
),

-- One number from two buyers, or to two suppliers of the master; a number that was given again is another order.
givers as (
    select
        orders.order_number, orders.item_id, parties.party_id as source_id, sets.sender_id as buyer_id,
        min(orders.set_rank) as set_rank, min(sets.available_at_utc) as available_at_utc
    from orders
    inner join sets using (set_rank)
    inner join {{ ref('int_party_aliases') }} as parties on orders.seller_id = parties.alias and parties.to_utc = timestamptz 'infinity'
    where orders.action_code = 'new'
        and (orders.order_number, orders.item_id) in (
            select (order_number, item_id) from orders where action_code = 'new' group by order_number, item_id having count(distinct set_rank) > 1
        )
        and orders.order_number not in (select order_number from {{ ref('int_order_numbers_reused') }})
    group by orders.order_number, orders.item_id, parties.party_id, sets.sender_id
),

given as (
    select
        *,
        lag(buyer_id) over known_of_one as buyer_before,
        lag(source_id) over known_of_one as source_before
    from givers
    window known_of_one as (partition by order_number, item_id order by available_at_utc, set_rank)
),

shared as (
    select
        'order_number_shared' as kind_code, any_value(orders.order_date) as business_date, given.item_id, cast(null as varchar) as site_id,
        concat('order ', given.order_number) as subject,
        sum(orders.quantity_ea) as value, cast(null as double) as expected_value, sum(orders.quantity_ea) as doubted_ea,
        concat(
            'order ', given.order_number, ' of item ', given.item_id, ' was given to ', given.source_id, ' by ', given.buyer_id,
            ', and before to ', given.source_before, ' by ', given.buyer_before,
            '; only the one sent last counts, give one of them another number'
        ) as reason,
        given.set_rank, given.available_at_utc, cast(null as timestamptz) as superseded_at_utc
    from given
    inner join orders
        on given.set_rank = orders.set_rank and given.order_number = orders.order_number and given.item_id = orders.item_id
    where given.source_before is not null and {{ in_window('orders.order_date') }}
    group by
        given.order_number, given.item_id, given.source_id, given.buyer_id, given.source_before, given.buyer_before, given.set_rank,
        given.available_at_utc
),

-- A blanket order promises what its call-offs order.
promised as (
    select
        orders.*, sets.available_at_utc,
        case when orders.order_type_code = 'BE' then sets.available_at_utc else greatest(blankets.called_at_utc, sets.available_at_utc) end as promised_at_utc
    from orders
    inner join sets using (set_rank)
    inner join {{ ref('int_blanket_orders_dated') }} as blankets on orders.order_number = blankets.blanket_number
    where orders.order_type_code = 'BE' or (orders.order_type_code = 'BK' and blankets.called_at_utc is not null)
),

blankets as (
    select
        'blanket_order', any_value(order_date), item_id, null, concat('order ', order_number, ' segment ', min(segment_no)), sum(quantity_ea), null,
        sum(quantity_ea),
        concat(
            'blanket order ', order_number, ' promises ', sum(quantity_ea), ' of item ', item_id,
            if(any_value(order_type_code) = 'BK', ', and was called off since', ''),
            '; it is not on order, each of its call-offs is'
        ),
        set_rank, any_value(promised_at_utc), null
    from promised
    where {{ in_window('order_date') }}
    group by order_number, item_id, set_rank
),

-- Lines of one item are added up, and a change says what is ordered of the item: one that names some of them may leave the others out.
told as (
    select
        orders.order_number, orders.item_id, orders.set_rank, any_value(orders.order_date) as order_date,
        count(distinct ltrim(orders.order_line, '0')) as lines, sum(orders.quantity_ea) as quantity_ea,
        bool_and(orders.action_code = 'cancel') as is_all_over, min(orders.segment_no) as segment_no
    from orders
    where (orders.order_number, orders.item_id) in (
            select (order_number, item_id) from orders group by order_number, item_id having min(order_line) < max(order_line) and min(set_rank) < max(set_rank)
        )
    group by orders.order_number, orders.item_id, orders.set_rank
),

before as (
    select
        *,
        lag(lines) over messages as lines_before,
        lag(quantity_ea) over messages as quantity_before_ea,
        lag(set_rank) over messages as rank_before
    from told
    window messages as (partition by order_number, item_id order by set_rank)
),

partly as (
    select
        'lines_left_out', before.order_date, before.item_id, null,
        concat('order ', before.order_number, ' segment ', before.segment_no), before.quantity_ea, before.quantity_before_ea,
        abs(before.quantity_before_ea - before.quantity_ea),
        concat(
            'a change of order ', before.order_number, ' names ', before.lines, ' of ', before.lines_before, ' lines of item ', before.item_id,
            '; what it says, ', before.quantity_ea, ' instead of ', before.quantity_before_ea, ', is taken for all of them, ask the buyer whether it is'
        ),
        before.set_rank, greatest(sets.available_at_utc, earlier.available_at_utc), null
    from before
    inner join sets using (set_rank)
    inner join sets as earlier on before.rank_before = earlier.set_rank
    where before.lines < before.lines_before and sets.set_code in ('860', 'ORDCHG') and not before.is_all_over
        and {{ in_window('before.order_date') }}
),

-- Whether what was refused will be replaced, only the supplier knows.
turned_away as (
    select
        'refused_receipt' as kind_code, receipts.received_date as business_date, receipts.item_id, receipts.site_id,
        concat('receipt ', coalesce(receipts.receipt_id, '(none)'), ' segment ', receipts.segment_no) as subject,
        sum(receipts.refused_ea) as value, cast(null as double) as expected_value, sum(receipts.refused_ea) as doubted_ea,
        concat(
            'receipt ', coalesce(receipts.receipt_id, '(none)'), ' takes in ', sum(receipts.quantity_ea), ' and refuses ', sum(receipts.refused_ea),
            if(min(receipts.order_number) is null, '', concat(' of order ', string_agg(distinct receipts.order_number, ', ' order by receipts.order_number))),
            '; what is refused counts neither as stock nor as on the way, ask the supplier for a notice if he replaces it'
        ) as reason,
        receipts.set_rank, sets.available_at_utc,
        if(bool_or(receipts.superseded_at_utc is null), null, max(receipts.superseded_at_utc)) as superseded_at_utc
    from {{ ref('int_receipts_matched') }} as receipts
    inner join sets using (set_rank)
    where receipts.refused_ea > 0 and {{ in_window('receipts.received_date') }}
    group by
        receipts.received_date, receipts.item_id, receipts.site_id, receipts.receipt_id, receipts.set_rank, receipts.segment_no,
        receipts.line_no, sets.available_at_utc
),

doubted as (
    select * from unplaced
    union all select * from turned_away
    union all select * from shared
    union all select * from partly
    union all select * from blankets
)

select
    kind_code, business_date, item_id, site_id, subject, value, expected_value, doubted_ea, reason, set_rank, available_at_utc, superseded_at_utc
from doubted
where superseded_at_utc is null or superseded_at_utc > available_at_utc
