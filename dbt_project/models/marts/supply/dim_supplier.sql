with

seen as (
    -- An imported order names its supplier or none: it came to us from ourselves.
    select coalesce(seller_id, if(set_code = 'orders', null, receiver_id)) as supplier_id, min(available_at_utc) as available_at_utc
    from {{ ref('stg_edi__order_lines') }}
    group by all
),

unstated as (
    select seen.supplier_id, min(seen.available_at_utc) as available_at_utc
    from seen
    where seen.supplier_id is not null and seen.supplier_id not in (select alias from {{ ref('int_party_aliases') }})
    group by seen.supplier_id
)

select
    supplier_id, supplier_name, minimum_order_usd, order_weekdays, true as is_in_master, available_at_utc
from {{ ref('int_suppliers_current') }}
union all
select supplier_id, null, null, null, false, available_at_utc
from unstated
