-- What each single message says about one item, site and day: activity (kind A) or counted position (kind P).
with

reports as (
    select
        item_id, site_id, activity_date as business_date, set_rank,
        min(segment_no) as segment_no,
        sum(quantity_ea) filter (activity_code = 'QS') as sales_qty_ea,
        sum(quantity_ea) filter (activity_code = 'QU') as returns_qty_ea,
        sum(quantity_ea) filter (activity_code = 'QR') as receipts_qty_ea,
        sum(quantity_ea) filter (activity_code = 'QT') as adjustments_qty_ea,
        sum(quantity_ea) filter (activity_code = 'QA') as closing_qty_ea,
        max({{ in_our_money('unit_price / factor_ea') }}) filter (activity_code = 'QS') as price_usd
    from {{ ref('int_activity_conformed') }}
    where reject_code is null and activity_code in ('QS', 'QU', 'QR', 'QT', 'QA')
    group by item_id, site_id, activity_date, set_rank
),

positions as (
    select
        item_id, site_id, position_date as business_date, set_rank,
        min(segment_no) as segment_no,
        coalesce(
            sum(quantity_ea) filter (quantity_code = '17'),
            sum(quantity_ea) filter (quantity_code = '33')
        ) as closing_qty_ea,
        sum(quantity_ea) filter (quantity_code = 'A5') as adjustments_qty_ea
    from {{ ref('int_positions_conformed') }}
    where reject_code is null and quantity_code in ('17', '33', 'A5')
    group by item_id, site_id, position_date, set_rank
    -- A message that adjusts without counting moves stock (int_stock_moves_dated); it does not replace the count.
    having count(*) filter (quantity_code <> 'A5') > 0
),

-- A site that reported sales that day, and counted an item without selling it, sold none of it.
reporting as (
    select reports.site_id, reports.business_date, min(sets.available_at_utc) as available_at_utc
    from reports
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    where reports.sales_qty_ea is not null
    group by reports.site_id, reports.business_date
),

sold as (
    select reports.item_id, reports.site_id, reports.business_date, min(sets.available_at_utc) as available_at_utc
    from reports
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    where reports.sales_qty_ea is not null or reports.returns_qty_ea is not null
    group by reports.item_id, reports.site_id, reports.business_date
),

counted as (
    select
        positions.item_id, positions.site_id, positions.business_date,
        arg_min(positions.set_rank, (sets.available_at_utc, positions.set_rank)) as position_rank,
        arg_min(positions.segment_no, (sets.available_at_utc, positions.set_rank)) as segment_no,
        min(sets.available_at_utc) as available_at_utc
    from positions
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    group by positions.item_id, positions.site_id, positions.business_date
),

-- Said until the item's own sales are known, and not taken back when they come later: what was known before stays as it was.
unsold as (
    select
        counted.item_id, counted.site_id, counted.business_date, counted.position_rank, counted.segment_no,
        greatest(counted.available_at_utc, reporting.available_at_utc) as available_at_utc
    from counted
    inner join reporting using (site_id, business_date)
    left join sold using (item_id, site_id, business_date)
    where sold.available_at_utc is null
        or sold.available_at_utc > greatest(counted.available_at_utc, reporting.available_at_utc)
)

select
    reports.item_id, reports.site_id, reports.business_date, 'A' as kind_code, reports.set_rank,
    reports.set_rank as pointer_rank, reports.segment_no, sets.available_at_utc,
    -- Returns without sales: none was sold. A report of stock alone says nothing about sales that another report knows of.
    coalesce(reports.sales_qty_ea, if(reports.returns_qty_ea is not null, 0, null)) as sales_qty_ea,
    reports.returns_qty_ea, reports.receipts_qty_ea, reports.adjustments_qty_ea, reports.closing_qty_ea, reports.price_usd
from reports
inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
union all
select
    -- Older than whatever a report says of the item.
    item_id, site_id, business_date, 'A', 0,
    position_rank, segment_no, available_at_utc,
    0, null, null, null, null, null
from unsold
union all
select
    positions.item_id, positions.site_id, positions.business_date, 'P', positions.set_rank,
    positions.set_rank, positions.segment_no, sets.available_at_utc,
    null, null, null, positions.adjustments_qty_ea, positions.closing_qty_ea, null
from positions
inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
