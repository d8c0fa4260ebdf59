-- Every name under which a partner may call an item of the master: its id, and its GTIN with as few as 8 and as many as 14 digits.
with

padded as (
    select item_id, item_gtin, pack_ea, lpad(item_gtin, 14, '0') as gtin_14
    from {{ ref('int_items_current') }}
    where item_gtin <> ''
),

names as (
    select item_id as alias, item_id, pack_ea, 0 as priority from {{ ref('int_items_current') }}
    union all
    select item_gtin, item_id, pack_ea, 1 from padded
    union all
    select ltrim(item_gtin, '0'), item_id, pack_ea, 2 from padded
    union all
    select right(padded.gtin_14, digits.n), padded.item_id, padded.pack_ea, 3
    from padded
    inner join (values (14), (13), (12), (8)) as digits (n)
        on padded.gtin_14 = lpad(right(padded.gtin_14, digits.n), 14, '0')
)

select alias, item_id, pack_ea
from names
where alias <> ''
qualify row_number() over (partition by alias order by priority, item_id) = 1
