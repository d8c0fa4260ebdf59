-- Every lane on every day since its first order, over what was known by the cut-off of that day (AIOS_CUTOFF on the next day in
-- AIOS_BUSINESS_TZ). The 90 days count from the day on which a receipt became known, so that later knowledge rewrites no row.
with

lines as (
    select * from {{ ref('int_lane_orders_dated') }}
),

horizon as (
    select
        coalesce(getvariable('window_start'), min(ordered_known_date)) as first_date,
        -- No row for a day that has not ended: nothing is known of it yet.
        least(getvariable('window_end') - 1, (select max(known_date) from {{ ref('int_sets_ranked') }})) as last_date
    from lines
),

lanes as (
    select lane_id, source_id, site_id, min(ordered_known_date) as first_known_date
    from lines
    group by lane_id, source_id, site_id
),

calendar as (
    select
        lanes.lane_id,
        cast(unnest(generate_series(
            greatest(horizon.first_date, lanes.first_known_date), horizon.last_date, interval 1 day
        )) as date) as feature_date
    from lanes
    cross join horizon
),

-- One row per lane and day however many lines it has: windows run over rows.
turns as (
    select lane_id, ordered_known_date as mark_date, count(*) as opened, 0 as closed from lines group by lane_id, ordered_known_date
    union all
    select lane_id, greatest(ordered_known_date, least(received_known_date, ended_known_date)), 0, count(*)
    from lines
    where received_known_date is not null or ended_known_date is not null
    group by all
),

opens as (
    select
        calendar.lane_id, calendar.feature_date,
        sum(turns.opened - turns.closed) as open_orders
    from calendar
    inner join (
        select
            lane_id,
            greatest(mark_date, horizon.first_date) as mark_date,
            sum(opened) as opened,
            sum(closed) as closed
        from turns, horizon
        group by all
    ) as turns on calendar.lane_id = turns.lane_id and turns.mark_date <= calendar.feature_date
    group by calendar.lane_id, calendar.feature_date
),

marks as (
    select lane_id, feature_date as mark_date, true as is_day, null as lead_time_days, null as is_late from calendar
    union all
    select lane_id, received_known_date, false, lead_time_days, is_late
    from lines, horizon
    where received_known_date > horizon.first_date - 90 and received_known_date <= horizon.last_date
),

measured as (
    select
        lane_id, mark_date as feature_date, is_day,
        count(lead_time_days) over recent as orders_90d,
        avg(lead_time_days) over recent as lead_time_days_mean_90d,
        quantile_cont(lead_time_days, [0.5, 0.9]) over recent as lead_time_days_points_90d,
        avg(cast(is_late as integer)) over recent as late_frac_90d
    from marks
    window recent as (partition by lane_id order by mark_date range between interval 89 days preceding and current row)
)

select
    measured.lane_id,
    lanes.source_id,
    lanes.site_id,
    measured.feature_date,
    cast(measured.orders_90d as integer) as orders_90d,
    cast(opens.open_orders as integer) as open_orders,
    cast(measured.lead_time_days_mean_90d as double) as lead_time_days_mean_90d,
    cast(measured.lead_time_days_points_90d[1] as double) as lead_time_days_p50_90d,
    cast(measured.lead_time_days_points_90d[2] as double) as lead_time_days_p90_90d,
    measured.late_frac_90d,
    {{ cutoff_of('measured.feature_date') }} as available_at_utc
from measured
inner join lanes using (lane_id)
inner join opens on measured.lane_id = opens.lane_id and measured.feature_date = opens.feature_date
where measured.is_day
