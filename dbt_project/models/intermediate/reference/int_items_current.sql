-- The latest statement of each item's master data, and what one each of it is: a piece, or so many kilograms, litres, metres or square metres.
--
-- An item is counted in one unit at all times, that of its latest statement: quantities of two units cannot be added up.
with

stated as (
    select
        item_id, item_gtin, description, category_code, pack_ea, base_unit_code, case_gtin, unit_cost_usd, unit_price_usd, supplier_id,
        shelf_life_days, introduced_date, discontinued_date, available_at_utc
    from {{ ref('stg_master__items') }}
    qualify row_number() over (partition by item_id order by available_at_utc desc, document_id desc, line_no desc) = 1
)

select
    stated.item_id, stated.item_gtin, stated.description, stated.category_code, stated.pack_ea, stated.base_unit_code, stated.case_gtin,
    stated.unit_cost_usd, stated.unit_price_usd, stated.supplier_id, stated.shelf_life_days, stated.introduced_date, stated.discontinued_date,
    stated.available_at_utc,
    case when stated.base_unit_code is null then 'each' else coalesce(units.conversion_code, 'unknown') end as dimension_code,
    coalesce(units.factor_base, 1.0) as factor_base
from stated
left join {{ ref('seed_unit_codes') }} as units on stated.base_unit_code = units.unit_code
