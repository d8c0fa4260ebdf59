-- Every name under which a message may call a site or a supplier of the master: its id, and its GLN.
with

names as (
    select site_id as alias, site_id as party_id, true as is_site, 0 as priority from {{ ref('int_sites_current') }}
    union all
    select site_gln, site_id, true, 1 from {{ ref('int_sites_current') }} where site_gln is not null
    union all
    select supplier_id, supplier_id, false, 2 from {{ ref('int_suppliers_current') }}
    union all
    select supplier_gln, supplier_id, false, 3 from {{ ref('int_suppliers_current') }} where supplier_gln is not null
)

select alias, party_id, is_site
from names
where alias <> ''
qualify row_number() over (partition by alias order by priority, party_id) = 1
