-- What a store said it received of an item on a day (QR, naming no order), a version per change, with the stretch in which it was
-- the newest one known and counted. A report that says the same again is no new version.
with

stated as (
    select
        lines.item_id, lines.site_id, lines.activity_date, lines.set_rank, sets.available_at_utc,
        min(lines.segment_no) as segment_no,
        min(lines.line_no) as line_no,
        sum(lines.quantity_ea) as quantity_ea
    from {{ ref('int_store_receipts_conformed') }} as lines
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    where lines.reject_code is null
    group by lines.item_id, lines.site_id, lines.activity_date, lines.set_rank, sets.available_at_utc
),

newest as (
    select
        *,
        {{ superseded_at('item_id, site_id, activity_date') }} as superseded_at_utc
    from stated
    qualify superseded_at_utc is null or superseded_at_utc > available_at_utc
),

changed as (
    select * exclude (superseded_at_utc)
    from newest
    qualify lag(quantity_ea) over (partition by item_id, site_id, activity_date order by available_at_utc, set_rank)
        is distinct from quantity_ea
),

versions as (
    select
        *,
        lead(available_at_utc) over (partition by item_id, site_id, activity_date order by available_at_utc, set_rank) as superseded_at_utc
    from changed
),

-- From the day a site sends receiving advices these close its orders, as soon as the first of them is known.
advised as (
    select coalesce(lines.site_id, lines.sender_id) as site_id, lines.received_date, min(sets.available_at_utc) as available_at_utc
    from {{ ref('int_receipt_lines_conformed') }} as lines
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    group by all
),

taken_over as (
    select
        site_id, received_date,
        min(available_at_utc) over (partition by site_id order by received_date) as available_at_utc
    from advised
)

select
    versions.item_id, versions.site_id, versions.activity_date, versions.set_rank, versions.segment_no, versions.line_no,
    versions.quantity_ea, versions.available_at_utc,
    least(versions.superseded_at_utc, taken_over.available_at_utc) as superseded_at_utc
from versions
asof left join taken_over
    on versions.site_id = taken_over.site_id and versions.activity_date >= taken_over.received_date
where versions.quantity_ea > 0
    and (taken_over.available_at_utc is null or taken_over.available_at_utc > versions.available_at_utc)
