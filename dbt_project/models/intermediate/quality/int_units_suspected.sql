-- Reported quantities that are off by the item's pack: the stock balance does not close as reported, and closes exactly when one
-- quantity (or all of the report) is taken times or divided by the pack. The quantities stay as they were sent.
with

open_balances as (
    select
        balances.*,
        packs.pack_ea,
        items.unit_cost_usd,
        sales_qty_ea + shipped_qty_ea as outbound_qty_ea
    from {{ ref('int_balances_versioned') }} as balances
    inner join {{ ref('int_items_current') }} as items using (item_id)
    -- What a case held on that day, whatever it holds today.
    inner join {{ ref('int_packs_dated') }} as packs
        on balances.item_id = packs.item_id
        and {{ held_at('packs', "timezone(getvariable('business_tz'), cast(balances.business_date + 1 as timestamp))") }}
    where packs.pack_ea > 1 and {{ breaks_balance('balances', 'packs') }}
),

trials as (
    select *, unnest([
        {'measure': 'sales', 'sign': -1.0, 'quantity_ea': sales_qty_ea},
        {'measure': 'receipts', 'sign': 1.0, 'quantity_ea': receipts_qty_ea},
        {'measure': 'shipments', 'sign': -1.0, 'quantity_ea': shipped_qty_ea},
        {'measure': 'returns', 'sign': 1.0, 'quantity_ea': returns_qty_ea},
        {'measure': 'closing', 'sign': -1.0, 'quantity_ea': closing_qty_ea},
        {'measure': 'report', 'sign': 1.0,
            'quantity_ea': receipts_qty_ea - sales_qty_ea + returns_qty_ea + adjustments_qty_ea - closing_qty_ea}
    ]) as trial
    from open_balances
),

solved as (
    select
        *,
        trial.measure as measure,
        trial.quantity_ea as quantity_ea,
        case
            when abs(residual_qty_ea + trial.sign * (trial.quantity_ea / pack_ea - trial.quantity_ea)) <= 1e-6
                then abs(trial.quantity_ea / pack_ea)
            when abs(residual_qty_ea + trial.sign * (trial.quantity_ea * pack_ea - trial.quantity_ea)) <= 1e-6
                then abs(trial.quantity_ea * pack_ea)
        end as expected_quantity_ea
    from trials
    where trial.quantity_ea <> 0
)

select
    item_id, site_id, business_date, version_no, pointer_rank, closing_rank, segment_no, available_at_utc, superseded_at_utc,
    measure, abs(quantity_ea) as quantity_ea, expected_quantity_ea, pack_ea, unit_cost_usd, residual_qty_ea
from solved
where expected_quantity_ea is not null
qualify row_number() over (
    partition by item_id, site_id, business_date, version_no
    order by if(measure = 'report', 0, 1), measure
) = 1
