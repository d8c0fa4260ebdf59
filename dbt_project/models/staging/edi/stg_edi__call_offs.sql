-- Call-offs of blanket orders: by a release number under the number of the blanket order (X12 328), or by a number of their own that
-- refers to it (EDIFACT RFF+BO). What other messages name under such a number is here too, though nobody ordered it.
{{ config(materialized='table') }}
with

ordered as (
    select
        case when {{ release_of_message() }} is null then trim(order_number) else {{ called_off() }} end as order_number,
        case when {{ release_of_message() }} is null then trim(blanket_number) else trim(order_number) end as blanket_number,
        {{ release_of_message() }} as release_number
    {{ from_counted('raw_edi__order_lines') }}
    where order_number is not null and trim(order_number) <> ''
        and ({{ release_of_message() }} is not null or (trim(blanket_number) <> '' and trim(blanket_number) <> trim(order_number)))
),

named as (
    {% for source in ['whole_orders', 'order_responses', 'shipment_lines', 'receipt_lines'] %}
    select {{ called_off() }} as order_number, trim(order_number) as blanket_number, {{ release_of_message() }} as release_number
    {{ from_counted('raw_edi__' ~ source) }}
    where {{ release_of_message() }} is not null and trim(order_number) in (select blanket_number from ordered)
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select order_number, min(blanket_number) as blanket_number, min(release_number) as release_number, bool_or(is_ordered) as is_ordered
from (
    select *, true as is_ordered from ordered
    union all
    select *, false from named
)
group by order_number
