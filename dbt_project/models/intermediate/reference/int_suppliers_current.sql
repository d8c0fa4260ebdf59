-- The latest statement of each supplier's master data.
select supplier_id, supplier_name, supplier_gln, minimum_order_usd, order_weekdays, available_at_utc
from {{ ref('stg_master__suppliers') }}
qualify row_number() over (partition by supplier_id order by available_at_utc desc, document_id desc, line_no desc) = 1
