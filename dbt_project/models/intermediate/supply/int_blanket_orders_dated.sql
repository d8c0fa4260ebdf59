-- Blanket orders by number, with the moments from which they only promise: a blanket order whose quantities are estimates (X12 92 BE,
-- EDIFACT 221) from when it is known, a firm one (BK) from when its first call-off is known, too.
with

lines as (
    select
        coalesce(call_offs.blanket_number, lines.order_number) as blanket_number,
        call_offs.blanket_number is not null as is_called_off, lines.order_type_code, sets.available_at_utc
    from {{ ref('int_order_lines_conformed') }} as lines
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
    left join {{ ref('stg_edi__call_offs') }} as call_offs on lines.order_number = call_offs.order_number
    where lines.reject_code is null and (call_offs.blanket_number is not null or lines.order_type_code in ('BE', 'BK'))
),

dated as (
    select
        blanket_number,
        min(available_at_utc) filter (is_called_off) as called_at_utc,
        min(available_at_utc) filter (not is_called_off and order_type_code = 'BE') as estimated_at_utc,
        min(available_at_utc) filter (not is_called_off and order_type_code = 'BK') as firm_at_utc
    from lines
    group by blanket_number
)

select
    blanket_number, called_at_utc,
    -- When it is known that what names the number alone speaks of the blanket order.
    least(estimated_at_utc, if(called_at_utc is null or firm_at_utc is null, null, greatest(firm_at_utc, called_at_utc))) as promised_at_utc
from dated
