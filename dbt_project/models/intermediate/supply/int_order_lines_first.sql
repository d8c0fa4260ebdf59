-- When each item of an order number was first known to be ordered from each source: what is said of a whole order, or of one that we do not
-- know yet, waits for it. An item that is called off is one of its blanket order, too.
with

lines as (
    select
        lines.order_number, lines.item_id,
        coalesce(lines.seller_id, if(lines.set_code = 'orders', null, lines.receiver_id)) as source_id,
        lines.set_rank, sets.available_at_utc
    from {{ ref('int_order_lines_conformed') }} as lines
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    where lines.reject_code is null
),

every as (
    select * from lines
    union all
    select lines.* replace (call_offs.blanket_number as order_number)
    from lines
    inner join {{ ref('stg_edi__call_offs') }} as call_offs using (order_number)
)

select
    order_number, item_id, source_id,
    arg_min(set_rank, (available_at_utc, set_rank)) as order_rank,
    min(available_at_utc) as available_at_utc
from every
group by order_number, item_id, source_id
