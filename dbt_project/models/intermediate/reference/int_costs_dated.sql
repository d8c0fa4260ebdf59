-- What an each of every item cost, by stretch of business days: from the day on which a statement was known until another one was. Days before any
-- statement take the one stated first, and one that states no cost leaves it unknown. A cost per pound says nothing of an item that is now counted
-- in kilograms or pieces: only statements in the base unit of the latest count.
with

-- Of several statements of a day the newest counts, as for everything else that was known at its cut-off.
stated as (
    select items.item_id, items.unit_cost_usd, {{ known_day('items.available_at_utc') }} as from_date
    from {{ ref('stg_master__items') }} as items
    inner join {{ ref('int_items_current') }} as latest
        on items.item_id = latest.item_id and items.base_unit_code is not distinct from latest.base_unit_code
    qualify row_number() over (
        partition by items.item_id, from_date order by items.available_at_utc desc, items.document_id desc, items.line_no desc
    ) = 1
),

turns as (
    select *, lag(from_date) over one_item as before_date
    from stated
    window one_item as (partition by item_id order by from_date)
    qualify before_date is null or unit_cost_usd is distinct from lag(unit_cost_usd) over one_item
)

select
    item_id, unit_cost_usd,
    if(before_date is null, date '-infinity', from_date) as from_date,
    coalesce(lead(from_date) over (partition by item_id order by from_date), date 'infinity') as to_date
from turns
