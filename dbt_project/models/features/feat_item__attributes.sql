select
    item_id, category_code, pack_ea, unit_cost_usd, unit_price_usd, supplier_id, shelf_life_days, introduced_date, available_at_utc
from {{ ref('stg_master__items') }}
qualify row_number() over (partition by item_id, available_at_utc order by document_id desc, line_no desc) = 1
