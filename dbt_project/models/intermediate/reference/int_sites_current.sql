-- The latest statement of each site's master data.
select site_id, site_gln, site_type, region_code, serving_site_id, storage_capacity_ea, available_at_utc
from {{ ref('stg_master__sites') }}
qualify row_number() over (partition by site_id order by available_at_utc desc, document_id desc, line_no desc) = 1
