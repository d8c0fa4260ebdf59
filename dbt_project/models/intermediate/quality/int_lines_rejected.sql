-- Every line kept out of the facts, and every line let in on an assumption, with its reason. In = kept + these, at each source.
{% set sources = [
    ('int_activity_conformed', 'site_id', 'activity_date', 'activity_code', none),
    ('int_positions_conformed', 'site_id', 'position_date', 'quantity_code', none),
    ('int_order_lines_conformed', 'coalesce(ship_to_id, buyer_id)', 'order_date', 'action_code', 'order_number'),
    ('int_order_responses_conformed', 'null', 'response_date', 'response_code', 'order_number'),
    ('int_shipment_lines_conformed', 'ship_to_id', 'shipped_date', 'null', 'order_number'),
    ('int_receipt_lines_conformed', 'coalesce(site_id, sender_id)', 'received_date', 'null', 'order_number'),
] %}
{% for model, site, date, code, number in sources %}
select
    '{{ model }}' as source_model,
    coalesce(reject_code, 'unknown_pack') as kind_code,
    reject_code is not null as is_kept_out,
    item_id,
    {{ site }} as site_id,
    {{ date }} as business_date,
    {{ code }} as line_code,
    {{ number if number else 'null' }} as order_number,
    quantity, unit_code, unit_reason, set_rank, segment_no, line_no
from {{ ref(model) }}
where reject_code is not null or is_pack_assumed
{{ 'union all' if not loop.last }}
{% endfor %}
union all
-- Received where no site of ours is: it closes its order, and stands in no stock until the master has the site.
select
    'int_receipt_lines_conformed', 'unknown_site', true, item_id, coalesce(site_id, sender_id), received_date, null, order_number,
    quantity, unit_code, null, set_rank, segment_no, line_no
from {{ ref('int_receipt_lines_conformed') }}
where reject_code is null and exists (select 1 from {{ ref('int_sites_current') }})
    and coalesce(site_id, sender_id) not in (select site_id from {{ ref('int_sites_current') }})
