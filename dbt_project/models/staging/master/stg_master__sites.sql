select
    site_id,
    site_gln,
    site_type,
    region_code,
    serving_site_id,
    storage_capacity_ea,
    document_id,
    line_no,
    available_at_utc
from {{ source('master', 'raw_master__sites') }}
