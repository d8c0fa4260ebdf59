-- What is wrong in what was sent, with the stretch in which it stood so: a later message can mend a balance or place a receipt.
{{ config(materialized='delta', contract={'enforced': true}) }}
with

sets as (
    select * from {{ ref('int_sets_ranked') }}
),

items as (
    select item_id, unit_cost_usd, dimension_code from {{ ref('int_items_current') }}
),

rejected as (
    select
        lines.kind_code,
        lines.business_date as finding_date,
        lines.item_id,
        lines.site_id,
        concat(sets.set_code, ' set ', sets.set_no, ' segment ', lines.segment_no, ' line ', lines.line_no) as subject,
        lines.quantity as value,
        cast(null as double) as expected_value,
        if(lines.unit_reason is null, abs(lines.quantity) * items.unit_cost_usd, null) as money_at_risk_usd,
        case
            when lines.unit_reason is not null then lines.unit_reason
            when lines.kind_code = 'unknown_item' then concat('item ', lines.item_id, ' is not in the item master; the line is kept out until it is')
            when lines.kind_code = 'unknown_site' then concat('site ', coalesce(lines.site_id, '(none)'), ' is not in the site master; the line is kept out until it is')
            else concat('unit ', lines.unit_code, ' is a case and no item master says how many eaches it holds; taken as 1')
        end as reason,
        sets.document_id,
        sets.available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from {{ ref('int_lines_rejected') }} as lines
    inner join sets using (set_rank)
    left join items using (item_id)
),

suspected as (
    select
        'unit_off_by_pack' as kind_code,
        suspects.business_date as finding_date,
        suspects.item_id,
        suspects.site_id,
        concat(suspects.measure, ' in ', sets.set_code, ' set ', sets.set_no, ' segment ', suspects.segment_no) as subject,
        suspects.quantity_ea as value,
        suspects.expected_quantity_ea as expected_value,
        abs(suspects.quantity_ea - suspects.expected_quantity_ea) * suspects.unit_cost_usd as money_at_risk_usd,
        concat(
            'the stock balance closes exactly when the ', suspects.measure, ' is ', suspects.expected_quantity_ea,
            ' instead of ', suspects.quantity_ea, ', which is off by the pack of ', suspects.pack_ea, '; left as sent and flagged'
        ) as reason,
        sets.document_id,
        suspects.available_at_utc,
        suspects.superseded_at_utc
    from {{ ref('int_units_suspected') }} as suspects
    inner join sets on suspects.pointer_rank = sets.set_rank
    where {{ in_window('suspects.business_date') }}
),

balances as (
    select
        balances.*,
        suspects.version_no is not null as is_suspect
    from {{ ref('int_balances_versioned') }} as balances
    left join {{ ref('int_units_suspected') }} as suspects using (item_id, site_id, business_date, version_no)
),

-- A close that is off by a pack breaks the balance of the next day as well: that is one fault, found on its own day.
broken as (
    select
        'stock_identity' as kind_code,
        balances.business_date as finding_date,
        balances.item_id,
        balances.site_id,
        concat(sets.set_code, ' set ', sets.set_no, ' segment ', balances.segment_no) as subject,
        balances.closing_qty_ea as value,
        balances.closing_qty_ea + balances.residual_qty_ea as expected_value,
        abs(balances.residual_qty_ea) * items.unit_cost_usd as money_at_risk_usd,
        concat(
            'opening ', balances.opening_qty_ea, ' + received ', balances.receipts_qty_ea, ' - out ',
            balances.sales_qty_ea + balances.shipped_qty_ea, ' + adjusted ', balances.returns_qty_ea + balances.adjustments_qty_ea,
            ' should close at ', balances.closing_qty_ea + balances.residual_qty_ea, ', reported ', balances.closing_qty_ea
        ) as reason,
        sets.document_id,
        balances.available_at_utc,
        balances.superseded_at_utc
    from balances
    inner join sets on balances.pointer_rank = sets.set_rank
    left join items using (item_id)
    where {{ breaks_balance('balances', 'items') }} and not balances.is_suspect and {{ in_window('balances.business_date') }}
),

-- One message about one site and day, as its rows state it.
reports as (
    select site_id, business_date, pointer_rank, count(distinct item_id) as items
    from {{ ref('int_site_days_stated') }}
    where kind_code = 'P' or set_rank = pointer_rank
    group by site_id, business_date, pointer_rank
),

newest_days as (
    select
        reports.*,
        max(business_date) over (partition by site_id, pointer_rank) as newest_date,
        timezone(getvariable('business_tz'), cast(business_date + 1 as timestamp)) as ended_at_utc
    from reports
),

late as (
    select
        'late_document' as kind_code,
        days.business_date as finding_date,
        cast(null as varchar) as item_id,
        days.site_id,
        concat(sets.set_code, ' ', coalesce(sets.control_number, '')) as subject,
        round(epoch(sets.available_at_utc - days.ended_at_utc) / 86400, 2) as value,
        1.0 as expected_value,
        cast(null as double) as money_at_risk_usd,
        concat(sets.set_code, ' of site ', days.site_id, ' for ', days.business_date, ' came ',
            round(epoch(sets.available_at_utc - days.ended_at_utc) / 86400, 2), ' days after that day ended') as reason,
        sets.document_id,
        sets.available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from newest_days as days
    inner join sets on days.pointer_rank = sets.set_rank
    where days.business_date = days.newest_date and sets.available_at_utc > days.ended_at_utc + interval 1 day
        and {{ in_window('days.business_date') }}
),

-- A message that says something of an item, site and day of which another message spoke before: sent later, it corrects; sent
-- earlier, it was overtaken on its way.
restated as (
    select
        this.site_id, this.business_date, this.pointer_rank,
        max(other.pointer_rank) filter (other.pointer_rank < this.pointer_rank) as before_rank,
        max(other.pointer_rank) filter (other.pointer_rank > this.pointer_rank) as after_rank
    from {{ ref('int_site_days_stated') }} as this
    inner join {{ ref('int_site_days_stated') }} as other
        on this.item_id = other.item_id and this.site_id = other.site_id and this.business_date = other.business_date
        and this.kind_code = other.kind_code and this.pointer_rank <> other.pointer_rank
        and other.available_at_utc < this.available_at_utc
        -- Sales in one report and stock in another restate nothing.
        and (
            (this.sales_qty_ea is not null and other.sales_qty_ea is not null)
            or (this.closing_qty_ea is not null and other.closing_qty_ea is not null)
            or (this.receipts_qty_ea is not null and other.receipts_qty_ea is not null)
            or (this.adjustments_qty_ea is not null and other.adjustments_qty_ea is not null)
        )
    where this.set_rank = this.pointer_rank and other.set_rank = other.pointer_rank and {{ in_window('this.business_date') }}
    group by this.site_id, this.business_date, this.pointer_rank
),

corrected as (
    select
        if(restated.after_rank is not null, 'out_of_order_document', 'corrected_document') as kind_code,
        restated.business_date as finding_date,
        cast(null as varchar) as item_id,
        restated.site_id,
        concat(sets.set_code, ' ', coalesce(sets.control_number, '')) as subject,
        cast(null as double) as value,
        cast(null as double) as expected_value,
        cast(null as double) as money_at_risk_usd,
        if(
            restated.after_rank is not null,
            concat(sets.set_code, ' of site ', restated.site_id, ' for ', restated.business_date,
                ' came after document ', left(others.document_id, 12), ', which was sent later and stands'),
            concat(sets.set_code, ' of site ', restated.site_id, ' for ', restated.business_date,
                ' corrects document ', left(others.document_id, 12))
        ) as reason,
        sets.document_id,
        sets.available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from restated
    inner join sets on restated.pointer_rank = sets.set_rank
    inner join sets as others on coalesce(restated.after_rank, restated.before_rank) = others.set_rank
),

doubted as (
    select
        orders.kind_code,
        orders.business_date as finding_date,
        orders.item_id,
        orders.site_id,
        orders.subject,
        orders.value,
        orders.expected_value,
        orders.doubted_ea * items.unit_cost_usd as money_at_risk_usd,
        orders.reason,
        sets.document_id,
        orders.available_at_utc,
        orders.superseded_at_utc
    from {{ ref('int_orders_doubted') }} as orders
    inner join sets using (set_rank)
    left join items using (item_id)
),

-- A sale over several days is booked on the last of them, and said so once per message.
spread as (
    select
        'period_report' as kind_code,
        max(activity.activity_date) as finding_date,
        cast(null as varchar) as item_id,
        activity.site_id,
        concat(sets.set_code, ' set ', sets.set_no) as subject,
        cast(count(*) as double) as value,
        cast(null as double) as expected_value,
        cast(null as double) as money_at_risk_usd,
        concat(sets.set_code, ' of site ', activity.site_id, ' reports stretches of several days; each is booked on its last day') as reason,
        sets.document_id,
        sets.available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from {{ ref('int_activity_conformed') }} as activity
    inner join sets using (set_rank)
    where activity.reject_code is null and activity.period_start_date < activity.activity_date
    group by activity.site_id, sets.set_rank, sets.set_code, sets.set_no, sets.document_id, sets.available_at_utc
),

-- What order lines and activities state for all their stores.
stated as (
    select
        concat('order ', order_number, ' line ', order_line) as what, order_date as finding_date, item_id, line_quantity as stated,
        quantity, factor_ea, unit_code, set_rank, segment_no
    from {{ ref('int_order_lines_conformed') }}
    where line_quantity is not null
    union all
    select concat('activity ', activity_code), activity_date, item_id, stated_quantity, quantity, factor_ea, unit_code, set_rank, segment_no
    from {{ ref('int_activity_split_conformed') }}
),

-- The stores stand as sent: nobody can know whether the line or one of them is wrong.
stores_differ as (
    select
        'stores_differ' as kind_code,
        lines.finding_date,
        lines.item_id,
        cast(null as varchar) as site_id,
        concat(lines.what, ' set ', sets.set_no, ' segment ', min(lines.segment_no)) as subject,
        sum(lines.quantity * lines.factor_ea) as value,
        any_value(lines.stated * lines.factor_ea) as expected_value,
        abs(sum(lines.quantity * lines.factor_ea) - any_value(lines.stated * lines.factor_ea)) * any_value(items.unit_cost_usd) as money_at_risk_usd,
        concat(
            lines.what, ' says ', lines.stated, ' ', lines.unit_code, ', its ',
            count(*), ' stores add up to ', sum(lines.quantity), '; the stores stand as sent, ask the sender which is meant'
        ) as reason,
        sets.document_id,
        sets.available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from stated as lines
    inner join sets using (set_rank)
    left join items using (item_id)
    where {{ in_window('lines.finding_date') }}
    group by
        lines.finding_date, lines.item_id, lines.what, lines.stated, lines.unit_code,
        sets.set_rank, sets.set_no, sets.document_id, sets.available_at_utc
    having abs(sum(lines.quantity) - lines.stated) > 1e-6 * greatest(abs(lines.stated), 1)
),

-- One line per partner and night: an onboarding of weeks, or a partner who never switched to production.
tests as (
    select
        'test_interchange' as kind_code,
        {{ known_day('available_at_utc') }} as finding_date,
        cast(null as varchar) as item_id,
        cast(null as varchar) as site_id,
        sender_id as subject,
        cast(sum(sets) as double) as value,
        cast(null as double) as expected_value,
        cast(null as double) as money_at_risk_usd,
        concat('what ', sender_id, ' sent as a test counts nowhere (', sum(sets), ' messages); if it is meant, ask for production ',
            '(ISA15 P, no 0035 in UNB), or name the sender in AIOS_COUNT_TESTS_OF') as reason,
        arg_min(document_id, (available_at_utc, document_id)) as document_id,
        max(available_at_utc) as available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from {{ ref('stg_edi__test_interchanges') }}
    group by sender_id, {{ known_day('available_at_utc') }}
),

-- Of every order line and sale: staging holds what messages are about to count, test interchanges left out.
priced as (
    {% for source in ['order_lines', 'product_activity'] %}
    select sender_id, document_id, available_at_utc, currency_code
    from {{ ref('stg_edi__' ~ source) }}
    where unit_price is not null and {{ is_foreign() }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- One line per currency and night: a network that trades in it says so with every message.
foreign_currency as (
    select
        'foreign_currency' as kind_code,
        {{ known_day('available_at_utc') }} as finding_date,
        cast(null as varchar) as item_id,
        cast(null as varchar) as site_id,
        currency_code as subject,
        cast(count(*) as double) as value,
        cast(null as double) as expected_value,
        cast(null as double) as money_at_risk_usd,
        concat('prices in ', currency_code, ' (lines: ', count(*), ', senders: ', count(distinct sender_id),
            ') are left out: money is counted in ', getvariable('currency'), ' (AIOS_CURRENCY), and no rate of exchange is known here') as reason,
        arg_min(document_id, (available_at_utc, document_id)) as document_id,
        max(available_at_utc) as available_at_utc,
        cast(null as timestamptz) as superseded_at_utc
    from priced
    group by currency_code, {{ known_day('available_at_utc') }}
),

found as (
    select * from rejected
    union all select * from suspected
    union all select * from broken
    union all select * from late
    union all select * from corrected
    union all select * from doubted
    union all select * from spread
    union all select * from stores_differ
    union all select * from tests
    union all select * from foreign_currency
)

select
    left(sha256(concat_ws('|', kind_code, coalesce(site_id, ''), coalesce(item_id, ''), subject, document_id, cast(finding_date as varchar))), 16)
        as finding_id,
    finding_date,
    kind_code,
    item_id,
    site_id,
    subject,
    value,
    expected_value,
    money_at_risk_usd,
    reason,
    document_id,
    available_at_utc,
    superseded_at_utc
from found
-- What was mended before its night's cut-off was never wrong for anybody.
where {{ in_window('finding_date') }}
    and (superseded_at_utc is null or {{ known_day('superseded_at_utc') }} > {{ known_day('available_at_utc') }})
qualify row_number() over (partition by finding_id, available_at_utc order by superseded_at_utc nulls first, reason) = 1
