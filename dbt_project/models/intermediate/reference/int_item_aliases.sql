-- Every name under which a partner may call an item of the master: its id, and its GTIN with 12, 13 or 14 digits.
with

names as (
    select item_id as alias, item_id, pack_ea, 0 as priority from {{ ref('int_items_current') }}
    union all
    select item_gtin, item_id, pack_ea, 1 from {{ ref('int_items_current') }} where item_gtin is not null
    union all
    select ltrim(item_gtin, '0'), item_id, pack_ea, 2 from {{ ref('int_items_current') }} where item_gtin is not null
    union all
    select lpad(item_gtin, 14, '0'), item_id, pack_ea, 3 from {{ ref('int_items_current') }} where length(item_gtin) < 14
    union all
    select lpad(item_gtin, 13, '0'), item_id, pack_ea, 4 from {{ ref('int_items_current') }} where length(item_gtin) < 13
)

select alias, item_id, pack_ea
from names
where alias <> ''
qualify row_number() over (partition by alias order by priority, item_id) = 1
