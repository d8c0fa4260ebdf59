with

seen as (
    select site_id, min(available_at_utc) as available_at_utc from {{ ref('stg_edi__product_activity') }} group by site_id
    union all
    select site_id, min(available_at_utc) from {{ ref('stg_edi__inventory_positions') }} group by site_id
    union all
    select ship_to_site_id, min(available_at_utc) from {{ ref('stg_edi__order_lines') }} group by ship_to_site_id
    union all
    select site_id, min(available_at_utc) from {{ ref('stg_edi__receipt_lines') }} group by site_id
),

unstated as (
    select seen.site_id, min(seen.available_at_utc) as available_at_utc
    from seen
    left join {{ ref('int_party_aliases') }} as parties on seen.site_id = parties.alias
    where seen.site_id is not null and parties.alias is null
    group by seen.site_id
)

select
    site_id, site_gln, site_type, region_code, serving_site_id, storage_capacity_ea, true as is_in_master, available_at_utc
from {{ ref('int_sites_current') }}
union all
select site_id, null, 'store', null, null, null, false, available_at_utc
from unstated
