with

seen as (
    select site_id, min(available_at_utc) as available_at_utc from {{ ref('stg_edi__product_activity') }} group by site_id
    union all
    select site_id, min(available_at_utc) from {{ ref('stg_edi__inventory_positions') }} group by site_id
    union all
    -- Who orders without naming a site orders for himself, and who receives without naming one received it.
    select coalesce(ship_to_site_id, if(action_code = 'new', buyer_id, null)), min(available_at_utc)
    from {{ ref('stg_edi__order_lines') }}
    group by all
    union all
    select coalesce(site_id, sender_id), min(available_at_utc) from {{ ref('stg_edi__receipt_lines') }} group by all
),

unstated as (
    select seen.site_id, min(seen.available_at_utc) as available_at_utc
    from seen
    where seen.site_id is not null and seen.site_id not in (select alias from {{ ref('int_party_aliases') }})
    group by seen.site_id
)

select
    site_id, site_gln, site_type, region_code, serving_site_id, storage_capacity_ea, true as is_in_master, available_at_utc
from {{ ref('int_sites_current') }}
union all
select site_id, null, 'store', null, null, null, false, available_at_utc
from unstated
