-- Receiving advice lines with their order, and the stretch in which that was the best known: as named, else the order that the shipment they
-- name was sent for, as its notice says that was first known to go to the receiving site; until there is one, as its first known
-- notice says at all. A shipment for several orders is shared among them as it was shipped: nobody said which of them was short.
with

lines as (
    select
        lines.set_rank, lines.segment_no, lines.line_no, lines.item_id, coalesce(lines.site_id, lines.sender_id) as site_id,
        lines.receipt_id, lines.received_date, lines.shipment_id, lines.order_number, lines.quantity_ea,
        coalesce(lines.rejected_quantity * lines.factor_ea, 0) as refused_ea,
        replaced.superseded_at_utc
    from {{ ref('int_receipt_lines_conformed') }} as lines
    left join {{ ref('int_notices_replaced') }} as replaced
        on replaced.event_code = 'received' and lines.item_id = replaced.item_id and trim(lines.receipt_id) = replaced.notice_id
        and coalesce(lines.site_id, lines.sender_id, '') = replaced.party_id and lines.set_rank = replaced.set_rank
    where lines.reject_code is null
),

unnamed as (
    select lines.*, sets.available_at_utc
    from lines
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    where lines.order_number is null and lines.shipment_id is not null
),

shipments as (
    select shipment_id, item_id, ship_to_id, order_number, quantity_ea, set_rank, available_at_utc
    from {{ ref('int_shipments_versioned') }}
    where shipment_id in (select shipment_id from unnamed)
),

firsts as (
    select *, ship_to_id as site_id
    from shipments
    where ship_to_id is not null
    qualify rank() over (partition by shipment_id, item_id, ship_to_id order by available_at_utc, set_rank) = 1
    union all
    select *, null
    from shipments
    qualify rank() over (partition by shipment_id, item_id order by available_at_utc, set_rank) = 1
),

shares as (
    select
        shipment_id, item_id, site_id, order_number, set_rank as shipment_rank, available_at_utc as shipped_known_at_utc,
        sum(quantity_ea) as shipped_ea,
        sum(sum(quantity_ea)) over whole as whole_ea,
        count(*) over whole as orders
    from firsts
    group by shipment_id, item_id, site_id, order_number, set_rank, available_at_utc
    window whole as (partition by shipment_id, item_id, site_id)
),

found as (
    select unnamed.*, shares.* exclude (shipment_id, item_id, site_id, order_number), shares.order_number as found_number, null as placed_at_utc
    from unnamed
    inner join shares
        on unnamed.shipment_id = shares.shipment_id and unnamed.item_id = shares.item_id and unnamed.site_id = shares.site_id
    union all
    select unnamed.*, shares.* exclude (shipment_id, item_id, site_id, order_number), shares.order_number, there.shipped_known_at_utc
    from unnamed
    inner join shares
        on unnamed.shipment_id = shares.shipment_id and unnamed.item_id = shares.item_id and shares.site_id is null
    left join (select distinct shipment_id, item_id, site_id, shipped_known_at_utc from shares) as there
        on unnamed.shipment_id = there.shipment_id and unnamed.item_id = there.item_id and unnamed.site_id = there.site_id
    where there.shipped_known_at_utc is null or there.shipped_known_at_utc > greatest(shares.shipped_known_at_utc, unnamed.available_at_utc)
)

select
    set_rank, segment_no, line_no, item_id, site_id, receipt_id, received_date, shipment_id, order_number,
    cast(null as integer) as shipment_rank, quantity_ea, refused_ea, superseded_at_utc
from lines
where order_number is not null
    or not exists (
        select 1 from found
        where lines.set_rank = found.set_rank and lines.segment_no = found.segment_no and lines.line_no = found.line_no
    )
union all
select
    set_rank, segment_no, line_no, item_id, site_id, receipt_id, received_date, shipment_id, found_number,
    shipment_rank,
    case when orders = 1 then quantity_ea when whole_ea > 0 then quantity_ea * shipped_ea / whole_ea else quantity_ea / orders end,
    case when orders = 1 then refused_ea when whole_ea > 0 then refused_ea * shipped_ea / whole_ea else refused_ea / orders end,
    least(superseded_at_utc, placed_at_utc)
from found
