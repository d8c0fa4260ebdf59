-- Every name under which a partner may call an item of the master, by stretch of the time in which messages were written: its id, and each
-- GTIN it ever had, with as few as 8 and as many as 14 digits.
with

said as (
    select item_id as owner, item_gtin as number, available_at_utc
    from {{ ref('stg_master__items') }}
    where item_gtin <> ''
),

numbers as (
    select distinct owner, number, lpad(number, 14, '0') as gtin_14 from said
),

claims as (
    select distinct item_id as alias, item_id as owner, 0 as class_no, 0 as form_no, item_id as number from {{ ref('stg_master__items') }}
    union all
    select number, owner, 1, 1, number from numbers
    union all
    select ltrim(number, '0'), owner, 1, 2, number from numbers
    union all
    select right(numbers.gtin_14, digits.n), numbers.owner, 1, 3, numbers.number
    from numbers
    inner join (values (14), (13), (12), (8)) as digits (n)
        on numbers.gtin_14 = lpad(right(numbers.gtin_14, digits.n), 14, '0')
),

{{ dated_names('claims', 'said') }}

select alias, owner as item_id, from_utc, to_utc
from dated
