-- What receiving advices, shipment notices and adjustments without a count add to and take from a site's stock, each from the
-- moment it became known.
-- A notice sent again replaces the one before: its rows hold the difference.
with

receipts as (
    select
        lines.item_id, coalesce(lines.site_id, lines.sender_id) as site_id, lines.received_date as business_date,
        lines.receipt_id as reference_id, lines.set_rank, min(lines.segment_no) as segment_no, sum(lines.quantity_ea) as quantity_ea
    from {{ ref('int_receipt_lines_conformed') }} as lines
    where lines.reject_code is null and {{ in_window('lines.received_date', before_days=1) }}
    group by all
),

shipments as (
    select
        lines.item_id, lines.ship_from_id as site_id, lines.shipped_date as business_date,
        lines.shipment_id as reference_id, lines.set_rank, min(lines.segment_no) as segment_no, sum(lines.quantity_ea) as quantity_ea
    from {{ ref('int_shipment_lines_conformed') }} as lines
    where lines.reject_code is null and lines.ship_from_id is not null and {{ in_window('lines.shipped_date', before_days=1) }}
    group by all
),

adjustments as (
    select
        item_id, site_id, position_date as business_date, cast(null as varchar) as reference_id, set_rank,
        min(segment_no) as segment_no, sum(quantity_ea) as quantity_ea
    from {{ ref('int_positions_conformed') }}
    where reject_code is null and quantity_code in ('17', '33', 'A5')
    group by item_id, site_id, position_date, set_rank
    having count(*) filter (quantity_code <> 'A5') = 0
),

moves as (
    select *, 'received' as move_code from receipts
    union all
    select *, 'shipped' from shipments
    union all
    select *, 'adjusted' from adjustments
),

arrived as (
    select moves.*, sets.available_at_utc
    from moves
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
),

best as (
    select
        *,
        arg_max(quantity_ea, set_rank) over known as known_quantity_ea,
        coalesce(arg_max(quantity_ea, set_rank) over before, 0) as before_quantity_ea
    from arrived
    window
        known as (
            partition by move_code, item_id, site_id, business_date, reference_id
            order by available_at_utc, set_rank rows between unbounded preceding and current row
        ),
        before as (
            partition by move_code, item_id, site_id, business_date, reference_id
            order by available_at_utc, set_rank rows between unbounded preceding and 1 preceding
        )
)

select
    item_id, site_id, business_date, move_code, set_rank, segment_no, available_at_utc,
    known_quantity_ea - before_quantity_ea as quantity_ea
from best
