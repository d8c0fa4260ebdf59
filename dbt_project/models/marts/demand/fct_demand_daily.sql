with

versions as (
    select *
    from {{ ref('int_site_days_versioned') }}
    where sales_qty_ea is not null and {{ in_window('business_date') }}
),

suspects as (
    select distinct item_id, site_id, business_date, pointer_rank
    from {{ ref('int_units_suspected') }}
),

numbered as (
    select
        versions.*,
        suspects.pointer_rank is not null as is_suspect,
        cast(row_number() over (
            partition by versions.item_id, versions.site_id, versions.business_date
            order by versions.set_rank, versions.kind_code
        ) as integer) as demand_version_no
    from versions
    left join suspects
        on versions.item_id = suspects.item_id and versions.site_id = suspects.site_id
        and versions.business_date = suspects.business_date and versions.pointer_rank = suspects.pointer_rank
)

select
    numbered.item_id,
    numbered.site_id,
    numbered.business_date as demand_date,
    numbered.demand_version_no as version_no,
    numbered.sales_qty_ea,
    coalesce(numbered.returns_qty_ea, 0) as returns_qty_ea,
    numbered.closing_qty_ea,
    coalesce(numbered.closing_qty_ea <= 0, false) as is_stockout,
    numbered.price_usd,
    numbered.is_suspect,
    sets.document_id,
    sets.set_no,
    numbered.segment_no,
    numbered.available_at_utc,
    numbered.superseded_at_utc,
    numbered.superseded_at_utc is null as is_current,
    strftime(numbered.business_date, '%Y-%m') as demand_month
from numbered
inner join {{ ref('int_sets_ranked') }} as sets on numbered.pointer_rank = sets.set_rank
