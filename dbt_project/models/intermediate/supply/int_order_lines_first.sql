-- When each item of an order number was first known to be ordered from each source: what is said of a whole order, or of one that we do not
-- know yet, waits for it.
select
    lines.order_number, lines.item_id,
    coalesce(lines.seller_id, if(lines.set_code = 'orders', null, lines.receiver_id)) as source_id,
    arg_min(lines.set_rank, (sets.available_at_utc, lines.set_rank)) as order_rank,
    min(sets.available_at_utc) as available_at_utc
from {{ ref('int_order_lines_conformed') }} as lines
inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
where lines.reject_code is null
group by lines.order_number, lines.item_id, source_id
