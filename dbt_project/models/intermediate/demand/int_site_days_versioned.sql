-- The versions of one item, site and day: each statement, joined with the newest statement of the other kind known when it came.
-- `[available_at_utc, superseded_at_utc)` is the stretch in which it was the best known; an older message that arrives after a
-- newer one is superseded the moment it arrives.
with

stated as (
    select
        *,
        count(*) over (partition by item_id, site_id, business_date) as statements
    from {{ ref('int_site_days_stated') }}
),

-- Only where a day was stated more than once is there anything to compare: a few rows, and stores that report in two messages.
pairs as (
    select
        this.item_id, this.site_id, this.business_date, this.kind_code, this.set_rank,
        max(other.set_rank) filter (other.kind_code = 'A' and other.available_at_utc <= this.available_at_utc) as activity_rank,
        max(other.set_rank) filter (other.kind_code = 'P' and other.available_at_utc <= this.available_at_utc) as position_rank,
        min(greatest(other.available_at_utc, this.available_at_utc)) filter (
            other.kind_code = this.kind_code and other.set_rank > this.set_rank
        ) as replaced_at_utc
    from stated as this
    inner join stated as other using (item_id, site_id, business_date)
    where this.statements > 1
    group by this.item_id, this.site_id, this.business_date, this.kind_code, this.set_rank
),

completed as (
    select
        min(other.available_at_utc) as completed_at_utc,
        this.item_id, this.site_id, this.business_date, this.kind_code, this.set_rank
    from stated as this
    inner join stated as other using (item_id, site_id, business_date)
    inner join pairs as fate
        on other.item_id = fate.item_id and other.site_id = fate.site_id and other.business_date = fate.business_date
        and other.kind_code = fate.kind_code and other.set_rank = fate.set_rank
    where this.statements > 1
        and other.kind_code <> this.kind_code
        and (other.available_at_utc, other.kind_code) > (this.available_at_utc, this.kind_code)
        -- A statement that was stale when it came completes nothing.
        and (fate.replaced_at_utc is null or fate.replaced_at_utc > other.available_at_utc)
    group by this.item_id, this.site_id, this.business_date, this.kind_code, this.set_rank
),

joined as (
    select
        this.*,
        pairs.activity_rank,
        pairs.position_rank,
        least(pairs.replaced_at_utc, completed.completed_at_utc) as superseded_at_utc,
        completed.completed_at_utc is not null and completed.completed_at_utc = this.available_at_utc
            and (pairs.replaced_at_utc is null or pairs.replaced_at_utc > this.available_at_utc) as is_half
    from stated as this
    left join pairs using (item_id, site_id, business_date, kind_code, set_rank)
    left join completed using (item_id, site_id, business_date, kind_code, set_rank)
),

single as (
    select
        item_id, site_id, business_date, set_rank, kind_code, pointer_rank, segment_no, available_at_utc,
        cast(null as timestamp with time zone) as superseded_at_utc,
        sales_qty_ea, returns_qty_ea, receipts_qty_ea, adjustments_qty_ea, closing_qty_ea, price_usd,
        if(closing_qty_ea is not null, pointer_rank, null) as closing_rank
    from stated
    where statements = 1
),

several as (
    select
        this.item_id, this.site_id, this.business_date, this.set_rank, this.kind_code,
        coalesce(activity.pointer_rank, position.pointer_rank) as pointer_rank,
        coalesce(activity.segment_no, position.segment_no) as segment_no,
        this.available_at_utc,
        this.superseded_at_utc,
        activity.sales_qty_ea, activity.returns_qty_ea, activity.receipts_qty_ea,
        if(activity.adjustments_qty_ea is null and position.adjustments_qty_ea is null, null,
            coalesce(activity.adjustments_qty_ea, 0) + coalesce(position.adjustments_qty_ea, 0)) as adjustments_qty_ea,
        coalesce(activity.closing_qty_ea, position.closing_qty_ea) as closing_qty_ea,
        activity.price_usd,
        case
            when activity.closing_qty_ea is not null then activity.pointer_rank
            when position.closing_qty_ea is not null then position.pointer_rank
        end as closing_rank
    from joined as this
    left join stated as activity
        on this.item_id = activity.item_id and this.site_id = activity.site_id and this.business_date = activity.business_date
        and activity.kind_code = 'A'
        and activity.set_rank = if(this.kind_code = 'A', this.set_rank, this.activity_rank)
    left join stated as position
        on this.item_id = position.item_id and this.site_id = position.site_id and this.business_date = position.business_date
        and position.kind_code = 'P'
        and position.set_rank = if(this.kind_code = 'P', this.set_rank, this.position_rank)
    -- Both halves of a day in one delivery are one version, not two of which the first never counted.
    where this.statements > 1 and not this.is_half
),

versions as (
    select * from single
    union all
    select * from several
)

select
    *,
    cast(row_number() over (partition by item_id, site_id, business_date order by set_rank, kind_code) as integer) as version_no
from versions
