with

suspects as (
    select distinct item_id, site_id, business_date, version_no
    from {{ ref('int_units_suspected') }}
)

select
    balances.item_id,
    balances.site_id,
    balances.business_date as inventory_date,
    balances.version_no,
    balances.opening_qty_ea,
    balances.receipts_qty_ea,
    balances.sales_qty_ea + balances.shipped_qty_ea as outbound_qty_ea,
    balances.returns_qty_ea + balances.adjustments_qty_ea as adjustments_qty_ea,
    balances.closing_qty_ea,
    balances.residual_qty_ea,
    suspects.version_no is not null as is_suspect,
    sets.document_id,
    sets.set_no,
    balances.segment_no,
    balances.available_at_utc,
    balances.superseded_at_utc,
    balances.superseded_at_utc is null as is_current,
    strftime(balances.business_date, '%Y-%m') as inventory_month
from {{ ref('int_balances_versioned') }} as balances
inner join {{ ref('int_sets_ranked') }} as sets on balances.pointer_rank = sets.set_rank
left join suspects
    on balances.item_id = suspects.item_id and balances.site_id = suspects.site_id
    and balances.business_date = suspects.business_date and balances.version_no = suspects.version_no
