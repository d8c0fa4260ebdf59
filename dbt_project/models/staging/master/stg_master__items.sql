select
    item_id,
    item_gtin,
    description,
    category_code,
    pack_ea,
    pack_from_date,
    unit_cost_usd,
    unit_price_usd,
    supplier_id,
    shelf_life_days,
    introduced_date,
    discontinued_date,
    document_id,
    line_no,
    available_at_utc
from {{ source('master', 'raw_master__items') }}
