-- Receipts that sites report only in their activity reports (QR), of all time: they close stock transfer orders.
{{ conform(
    'stg_edi__product_activity',
    {'site_id': 'site_id'},
    ['activity_date'],
    site_required=true,
    filter="activity_code = 'QR'"
) }}
