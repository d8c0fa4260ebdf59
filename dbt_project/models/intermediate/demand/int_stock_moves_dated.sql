-- What receiving advices, shipment notices and adjustments without a count add to and take from a site's stock, each from the
-- moment it became known.
-- A notice sent again replaces the one of its number, on whatever day that said it was: what it said is taken back from then on, as is what
-- a message took back with the whole document. A notice without a number replaces none.
with

sites as (
    select site_id from {{ ref('int_sites_current') }}
),

receipts as (
    select
        item_id, coalesce(site_id, sender_id) as site_id, received_date as business_date,
        coalesce(nullif(trim(receipt_id), ''), concat('# ', set_rank)) as notice_id, set_rank, segment_no, quantity_ea
    from {{ ref('int_receipt_lines_conformed') }}
    where reject_code is null
),

shipments as (
    select
        item_id, ship_from_id as site_id, shipped_date as business_date,
        coalesce(shipment_id, concat('# ', set_rank)) as notice_id, set_rank, segment_no, quantity_ea
    from {{ ref('int_shipment_lines_conformed') }}
    where reject_code is null and ship_from_id is not null
),

adjustments as (
    select
        item_id, site_id, position_date as business_date, cast(position_date as varchar) as notice_id, set_rank,
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

-- All that was ever said of the notices that name a day of the window: the others neither add there nor take back. Named first, so that a night
-- ranks its own notices and not those of all years.
named as (
    select distinct move_code, notice_id from moves
    where getvariable('window_start') is not null and {{ in_window('business_date', before_days=1) }}
),

notices as (
    select
        moves.move_code, moves.item_id, moves.site_id, moves.notice_id, moves.business_date, moves.set_rank, sets.available_at_utc,
        min(moves.segment_no) as segment_no,
        sum(moves.quantity_ea) as quantity_ea
    from moves
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    -- What a supplier ships leaves no stock of ours.
    where (
            moves.site_id in (select site_id from sites)
            or (
                not exists (select 1 from sites) and moves.site_id is not null
                and moves.site_id not in (select supplier_id from {{ ref('int_suppliers_current') }})
            )
        )
        and (getvariable('window_start') is null or (moves.move_code, moves.notice_id) in (select (move_code, notice_id) from named))
    group by
        moves.move_code, moves.item_id, moves.site_id, moves.notice_id, moves.business_date, moves.set_rank, sets.available_at_utc
),

replaced as (
    select *, {{ superseded_at('move_code, item_id, site_id, notice_id', 'range') }} as replaced_at_utc
    from notices
),

versions as (
    select replaced.*, least(replaced.replaced_at_utc, withdrawn.taken_at_utc) as superseded_at_utc
    from replaced
    left join {{ ref('int_notices_withdrawn') }} as withdrawn
        on replaced.move_code = withdrawn.event_code and replaced.item_id = withdrawn.item_id and replaced.notice_id = withdrawn.notice_id
        and replaced.site_id = withdrawn.party_id and replaced.set_rank = withdrawn.set_rank
),

best as (
    select *
    from versions
    where (superseded_at_utc is null or superseded_at_utc > available_at_utc) and {{ in_window('business_date', before_days=1) }}
)

select item_id, site_id, business_date, move_code, set_rank, segment_no, available_at_utc, quantity_ea
from best
union all
select item_id, site_id, business_date, move_code, set_rank, segment_no, superseded_at_utc, -quantity_ea
from best
where superseded_at_utc is not null
