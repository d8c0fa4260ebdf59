with

-- Read twice, and written down for neither: a copy of all days costs memory and more time than reading them again.
versions as not materialized (
    select *
    from {{ ref('int_site_days_versioned') }}
    where sales_qty_ea is not null and {{ in_window('business_date') }}
),

-- Days whose balance was off by a pack at some time. The close of the day before, corrected or late, can bring the doubt up or settle it: then
-- the same report is another version, for who read it before did (or did not) believe it.
doubted as (
    select distinct item_id, site_id, business_date
    from {{ ref('int_units_suspected') }}
),

balances as (
    select
        balances.item_id, balances.site_id, balances.business_date, balances.available_at_utc,
        suspects.version_no is not null as is_suspect
    from {{ ref('int_balances_versioned') }} as balances
    semi join doubted using (item_id, site_id, business_date)
    left join {{ ref('int_units_suspected') }} as suspects using (item_id, site_id, business_date, version_no)
),

-- A balance stands for each moment at which anything about the day became known: each lies within one version of the report.
believed as (
    select
        versions.* replace (balances.available_at_utc as available_at_utc),
        versions.available_at_utc as said_at_utc,
        balances.is_suspect,
        lag(balances.is_suspect) over version as was_suspect
    from versions
    inner join balances
        on versions.item_id = balances.item_id and versions.site_id = balances.site_id and versions.business_date = balances.business_date
        and versions.available_at_utc <= balances.available_at_utc
        and (versions.superseded_at_utc is null or versions.superseded_at_utc > balances.available_at_utc)
    window version as (
        partition by versions.item_id, versions.site_id, versions.business_date, versions.version_no order by balances.available_at_utc
    )
),

flagged as (
    select
        * exclude (said_at_utc, was_suspect)
        replace (
            coalesce(
                lead(available_at_utc) over (partition by item_id, site_id, business_date, version_no order by available_at_utc),
                superseded_at_utc
            ) as superseded_at_utc
        )
    from believed
    where is_suspect is distinct from was_suspect
    union all
    select versions.*, false
    from versions
    left join doubted using (item_id, site_id, business_date)
    where doubted.item_id is null or versions.superseded_at_utc <= versions.available_at_utc
)

select
    flagged.item_id,
    flagged.site_id,
    flagged.business_date as demand_date,
    cast(row_number() over (
        partition by flagged.item_id, flagged.site_id, flagged.business_date order by flagged.available_at_utc, flagged.version_no
    ) as integer) as version_no,
    flagged.sales_qty_ea,
    coalesce(flagged.returns_qty_ea, 0) as returns_qty_ea,
    flagged.closing_qty_ea,
    coalesce(flagged.closing_qty_ea <= 0, false) as is_stockout,
    flagged.price_usd,
    flagged.is_suspect,
    sets.document_id,
    sets.set_no,
    flagged.segment_no,
    flagged.available_at_utc,
    flagged.superseded_at_utc,
    flagged.superseded_at_utc is null as is_current,
    strftime(flagged.business_date, '%Y-%m') as demand_month
from flagged
inner join {{ ref('int_sets_ranked') }} as sets on flagged.pointer_rank = sets.set_rank
