select
    supplier_id,
    supplier_name,
    supplier_gln,
    minimum_order_usd,
    order_weekdays,
    document_id,
    line_no,
    available_at_utc
from {{ source('master', 'raw_master__suppliers') }}
