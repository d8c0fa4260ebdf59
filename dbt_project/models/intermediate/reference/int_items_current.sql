-- The latest statement of each item's master data.
select
    item_id, item_gtin, description, category_code, pack_ea, unit_cost_usd, unit_price_usd, supplier_id,
    shelf_life_days, introduced_date, discontinued_date, available_at_utc
from {{ ref('stg_master__items') }}
qualify row_number() over (partition by item_id order by available_at_utc desc, document_id desc, line_no desc) = 1
