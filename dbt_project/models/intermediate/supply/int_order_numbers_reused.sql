-- Order numbers that were given again: an order dated more than 270 days after the one before of its number is another order. Per order the
-- days from which (and before which) what is said of the number is about it, and the stretch in which that was known: until both
-- orders are known, everything is about one.
with

reused as (
    select order_number
    from {{ ref('int_order_lines_conformed') }}
    where reject_code is null and action_code = 'new'
    group by order_number
    having max(order_date) > min(order_date) + {{ another_order_days() }}
),

placed as (
    select lines.order_number, lines.order_date, min(sets.available_at_utc) as available_at_utc
    from {{ ref('int_order_lines_conformed') }} as lines
    inner join reused using (order_number)
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    where lines.reject_code is null and lines.action_code = 'new'
    group by lines.order_number, lines.order_date
),

spaced as (
    select
        *,
        order_date > lag(order_date) over (partition by order_number order by order_date) + {{ another_order_days() }} as is_another
    from placed
),

numbered as (
    select *, 1 + count(*) filter (is_another) over (partition by order_number order by order_date) as life_no
    from spaced
),

named as (
    select
        order_number, life_no,
        if(life_no = 1, order_number, concat(order_number, ' of ', min(order_date))) as order_name,
        min(order_date) as order_date,
        min(available_at_utc) as available_at_utc
    from numbered
    group by order_number, life_no
),

lives as (
    select
        order_number, life_no, order_name,
        lag(order_name) over lives_of_one as name_before,
        if(life_no = 1, date '-infinity', order_date) as from_date,
        coalesce(lead(order_date) over lives_of_one, date 'infinity') as until_date,
        greatest(available_at_utc, lag(available_at_utc) over lives_of_one) as begun_at_utc
    from named
    window lives_of_one as (partition by order_number order by life_no)
)

select
    order_number, order_name, from_date, until_date, if(life_no = 1, null, begun_at_utc) as begun_at_utc,
    cast(null as timestamptz) as ended_at_utc
from lives
union all
select order_number, name_before, from_date, until_date, null, begun_at_utc
from lives
where life_no > 1
