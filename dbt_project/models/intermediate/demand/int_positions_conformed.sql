-- Inventory positions of the window (and the day before it, whose close is the opening), in our names and in eaches.
{{ conform(
    'stg_edi__inventory_positions',
    {'site_id': 'site_id'},
    ['quantity_code', 'position_date'],
    site_required=true,
    filter=in_window('position_date', before_days=1)
) }}
