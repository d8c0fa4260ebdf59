-- The versions of one item, site and day: what all statements known at a moment say together, from each moment at which one came that
-- counts. `[available_at_utc, superseded_at_utc)` is the stretch in which it was the best known; a statement of which nothing counts
-- any more when it comes is superseded the moment it arrives.
--
-- A report of sales and close says all there is to say of the day, and replaces every older report. One that says less replaces what
-- it says (sales with returns and price; receipts; adjustments) and leaves the rest as it was; of two closes the one sent last counts,
-- reported or counted.
with

stated as (
    select
        *,
        count(*) over (partition by item_id, site_id, business_date) as statements
    from {{ ref('int_site_days_stated') }}
),

-- Only where a day was stated more than once is there anything to put together: a few rows, and stores that report in two messages.
moments as (
    select distinct item_id, site_id, business_date, available_at_utc
    from stated
    where statements > 1
),

known as (
    select
        stated.*,
        moments.available_at_utc as moment_utc,
        max(if(stated.kind_code = 'A' and stated.sales_qty_ea is not null and stated.closing_qty_ea is not null, stated.set_rank, null))
            over (partition by stated.item_id, stated.site_id, stated.business_date, moments.available_at_utc) as whole_rank
    from moments
    inner join stated
        on moments.item_id = stated.item_id and moments.site_id = stated.site_id and moments.business_date = stated.business_date
        and stated.available_at_utc <= moments.available_at_utc
    where stated.statements > 1
),

-- Ranks tell messages of one kind apart; twice the rank, and one more for a count, tells all statements apart.
counting as (
    select
        *,
        2 * set_rank + if(kind_code = 'P', 1, 0) as said_no
    from known
    where kind_code = 'P' or whole_rank is null or set_rank >= whole_rank
),

joined as (
    select
        item_id, site_id, business_date, moment_utc,
        max(said_no) filter (kind_code = 'A' and sales_qty_ea is not null) as sales_no,
        max(said_no) filter (kind_code = 'A' and receipts_qty_ea is not null) as receipts_no,
        max(said_no) filter (kind_code = 'A' and adjustments_qty_ea is not null) as adjustments_no,
        max(said_no) filter (closing_qty_ea is not null) as closing_no,
        max(said_no) filter (kind_code = 'P') as count_no,
        max(said_no) filter (kind_code = 'A' and closing_qty_ea is not null) as stock_no,
        arg_max_null(sales_qty_ea, said_no) filter (kind_code = 'A' and sales_qty_ea is not null) as sold_ea,
        arg_max_null(returns_qty_ea, said_no) filter (kind_code = 'A' and sales_qty_ea is not null) as sold_returns_ea,
        arg_max_null(price_usd, said_no) filter (kind_code = 'A' and sales_qty_ea is not null) as sold_price_usd,
        arg_max_null(pointer_rank, said_no) filter (kind_code = 'A' and sales_qty_ea is not null) as sold_rank,
        arg_max_null(segment_no, said_no) filter (kind_code = 'A' and sales_qty_ea is not null) as sold_segment_no,
        arg_max_null(pointer_rank, said_no) filter (kind_code = 'A') as newest_rank,
        arg_max_null(segment_no, said_no) filter (kind_code = 'A') as newest_segment_no,
        arg_max_null(pointer_rank, said_no) filter (kind_code = 'P') as counted_rank,
        arg_max_null(segment_no, said_no) filter (kind_code = 'P') as counted_segment_no,
        arg_max_null(adjustments_qty_ea, said_no) filter (kind_code = 'P') as counted_adjusted_ea,
        arg_max_null(closing_qty_ea, said_no) filter (closing_qty_ea is not null) as closed_ea,
        arg_max_null(pointer_rank, said_no) filter (closing_qty_ea is not null) as closed_rank,
        arg_max(receipts_qty_ea, said_no) filter (kind_code = 'A' and receipts_qty_ea is not null) as receipts_qty_ea,
        arg_max(adjustments_qty_ea, said_no) filter (kind_code = 'A' and adjustments_qty_ea is not null) as adjusted_qty_ea
    from counting
    group by item_id, site_id, business_date, moment_utc
),

-- Which statements counted for something when they came.
arrivals as (
    select
        stated.*,
        coalesce(
            2 * stated.set_rank + if(stated.kind_code = 'P', 1, 0)
                in (
                    coalesce(joined.sales_no, joined.stock_no), joined.receipts_no, joined.adjustments_no, joined.closing_no, joined.count_no
                ),
            false
        ) as is_heard
    from stated
    inner join joined
        on stated.item_id = joined.item_id and stated.site_id = joined.site_id and stated.business_date = joined.business_date
        and stated.available_at_utc = joined.moment_utc
    where stated.statements > 1
),

heard as (
    select
        item_id, site_id, business_date, available_at_utc,
        max(set_rank) as set_rank,
        arg_max(kind_code, (set_rank, kind_code)) as kind_code,
        lead(available_at_utc) over (partition by item_id, site_id, business_date order by available_at_utc) as superseded_at_utc
    from arrivals
    where is_heard
    group by item_id, site_id, business_date, available_at_utc
),

several as (
    select
        heard.item_id, heard.site_id, heard.business_date, heard.set_rank, heard.kind_code,
        coalesce(joined.sold_rank, joined.newest_rank, joined.counted_rank) as pointer_rank,
        case
            when joined.sold_rank is not null then joined.sold_segment_no
            when joined.newest_rank is not null then joined.newest_segment_no
            else joined.counted_segment_no
        end as segment_no,
        heard.available_at_utc,
        heard.superseded_at_utc,
        coalesce(joined.sold_ea, if(joined.stock_no is not null, 0, null)) as sales_qty_ea,
        joined.sold_returns_ea as returns_qty_ea,
        joined.receipts_qty_ea,
        if(joined.adjusted_qty_ea is null and joined.counted_adjusted_ea is null, null,
            coalesce(joined.adjusted_qty_ea, 0) + coalesce(joined.counted_adjusted_ea, 0)) as adjustments_qty_ea,
        joined.closed_ea as closing_qty_ea,
        joined.sold_price_usd as price_usd,
        joined.closed_rank as closing_rank
    from heard
    inner join joined
        on heard.item_id = joined.item_id and heard.site_id = joined.site_id and heard.business_date = joined.business_date
        and heard.available_at_utc = joined.moment_utc
),

alone as (
    select
        item_id, site_id, business_date, set_rank, kind_code, pointer_rank, segment_no, available_at_utc,
        cast(null as timestamp with time zone) as superseded_at_utc,
        sales_qty_ea, returns_qty_ea, receipts_qty_ea, adjustments_qty_ea, closing_qty_ea, price_usd
    from stated
    where statements = 1
    union all
    select
        item_id, site_id, business_date, set_rank, kind_code, pointer_rank, segment_no, available_at_utc,
        available_at_utc,
        sales_qty_ea, returns_qty_ea, receipts_qty_ea, adjustments_qty_ea, closing_qty_ea, price_usd
    from arrivals
    where not is_heard and set_rank = pointer_rank
),

versions as (
    select * from several
    union all
    select
        * replace (
            -- Stock reported and no sale: it sold none. Neither reported: the report says nothing about demand.
            coalesce(sales_qty_ea, if(kind_code = 'A' and closing_qty_ea is not null, 0, null)) as sales_qty_ea
        ),
        if(closing_qty_ea is not null, pointer_rank, null) as closing_rank
    from alone
)

select
    *,
    cast(row_number() over (
        partition by item_id, site_id, business_date order by available_at_utc, set_rank, kind_code
    ) as integer) as version_no
from versions
