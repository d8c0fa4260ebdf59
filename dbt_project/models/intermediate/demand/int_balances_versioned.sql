-- The stock balance of one item, site and day, as known at each moment at which something about it became known: its own reports,
-- its receipts and shipments, and the close of the day before, which is its opening.
with

days as (
    select * from {{ ref('int_site_days_versioned') }}
    where superseded_at_utc is null or superseded_at_utc > available_at_utc
),

moves as (
    select * from {{ ref('int_stock_moves_dated') }}
),

own as (
    select item_id, site_id, business_date, available_at_utc from days
    union
    select item_id, site_id, business_date, available_at_utc from moves
),

firsts as (
    select item_id, site_id, business_date, min(available_at_utc) as first_at_utc
    from own
    group by item_id, site_id, business_date
),

-- The close of the day before, corrected or late, makes a new version of this day's balance.
reopened as (
    select firsts.item_id, firsts.site_id, firsts.business_date, days.available_at_utc
    from days
    inner join firsts
        on days.item_id = firsts.item_id and days.site_id = firsts.site_id and days.business_date + 1 = firsts.business_date
        and days.available_at_utc > firsts.first_at_utc
),

moments as (
    select * from own
    union
    select * from reopened
),

timed as (
    select
        *,
        lead(available_at_utc) over balance as superseded_at_utc,
        cast(row_number() over balance as integer) as version_no
    from moments
    where {{ in_window('business_date') }}
    window balance as (partition by item_id, site_id, business_date order by available_at_utc)
),

moved as (
    select
        timed.item_id, timed.site_id, timed.business_date, timed.version_no,
        sum(moves.quantity_ea) filter (moves.move_code = 'received') as received_qty_ea,
        sum(moves.quantity_ea) filter (moves.move_code = 'shipped') as shipped_qty_ea,
        sum(moves.quantity_ea) filter (moves.move_code = 'adjusted') as adjusted_qty_ea,
        max(moves.set_rank) as move_rank,
        arg_max(moves.segment_no, moves.set_rank) as segment_no
    from timed
    inner join moves
        on timed.item_id = moves.item_id and timed.site_id = moves.site_id and timed.business_date = moves.business_date
        and moves.available_at_utc <= timed.available_at_utc
    group by timed.item_id, timed.site_id, timed.business_date, timed.version_no
)

select
    timed.item_id, timed.site_id, timed.business_date, timed.version_no, timed.available_at_utc, timed.superseded_at_utc,
    before.closing_qty_ea as opening_qty_ea,
    days.receipts_qty_ea as reported_receipts_qty_ea,
    coalesce(days.receipts_qty_ea, moved.received_qty_ea, 0) as receipts_qty_ea,
    coalesce(days.sales_qty_ea, 0) as sales_qty_ea,
    coalesce(moved.shipped_qty_ea, 0) as shipped_qty_ea,
    coalesce(days.returns_qty_ea, 0) as returns_qty_ea,
    coalesce(days.adjustments_qty_ea, 0) + coalesce(moved.adjusted_qty_ea, 0) as adjustments_qty_ea,
    days.closing_qty_ea,
    coalesce(days.pointer_rank, moved.move_rank) as pointer_rank,
    coalesce(days.closing_rank, days.pointer_rank, moved.move_rank) as closing_rank,
    coalesce(days.segment_no, moved.segment_no) as segment_no,
    before.closing_qty_ea + coalesce(days.receipts_qty_ea, moved.received_qty_ea, 0)
        - coalesce(days.sales_qty_ea, 0) - coalesce(moved.shipped_qty_ea, 0)
        + coalesce(days.returns_qty_ea, 0) + coalesce(days.adjustments_qty_ea, 0) + coalesce(moved.adjusted_qty_ea, 0)
        - days.closing_qty_ea as residual_qty_ea
from timed
left join days
    on timed.item_id = days.item_id and timed.site_id = days.site_id and timed.business_date = days.business_date
    and days.available_at_utc <= timed.available_at_utc
    and (days.superseded_at_utc is null or days.superseded_at_utc > timed.available_at_utc)
left join days as before
    on timed.item_id = before.item_id and timed.site_id = before.site_id and timed.business_date = before.business_date + 1
    and before.available_at_utc <= timed.available_at_utc
    and (before.superseded_at_utc is null or before.superseded_at_utc > timed.available_at_utc)
left join moved
    on timed.item_id = moved.item_id and timed.site_id = moved.site_id and timed.business_date = moved.business_date
    and timed.version_no = moved.version_no
