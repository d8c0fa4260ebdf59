-- Which order a store's receipt belongs to, where the store reports receipts only as activity (QR) without naming an order.
-- Per item and store, shipments are used up oldest first. A receipt beyond everything shipped so far (cumulative receipts less
-- cumulative shipments at a new high) belongs to no shipment, and never to a later one.
with

advised as (
    select coalesce(site_id, sender_id) as site_id, min(received_date) as first_date
    from {{ ref('int_receipt_lines_conformed') }}
    group by all
),

stated as (
    select item_id, site_id, activity_date, set_rank, min(segment_no) as segment_no, min(line_no) as line_no, sum(quantity_ea) as quantity_ea
    from {{ ref('int_store_receipts_conformed') }}
    where reject_code is null
    group by item_id, site_id, activity_date, set_rank
),

weighed as (
    select
        *,
        max(set_rank) over (partition by item_id, site_id, activity_date) as last_rank,
        arg_max(quantity_ea, set_rank) over (partition by item_id, site_id, activity_date) as last_ea
    from stated
),

changed as (
    select *, max(set_rank) filter (quantity_ea <> last_ea) over (partition by item_id, site_id, activity_date) as other_rank
    from weighed
),

-- A correction of something else on the same report says the receipt again: it has been known since it was first said like this.
reported as (
    select * exclude (last_rank, last_ea, other_rank)
    from changed
    where other_rank is null or set_rank > other_rank
    qualify row_number() over (partition by item_id, site_id, activity_date order by set_rank) = 1
),

receipts as (
    select reported.*
    from reported
    left join advised using (site_id)
    -- From the day a site sends receiving advices, these close its orders.
    where reported.quantity_ea > 0 and (advised.first_date is null or reported.activity_date < advised.first_date)
),

shipments as (
    select * from {{ ref('int_shipments_current') }}
    where quantity_ea > 0 and ship_to_id is not null
),

flow as (
    select
        item_id, ship_to_id as site_id, shipped_date as flow_date, 0 as flow_order, set_rank, segment_no,
        quantity_ea as shipped_ea, 0.0 as received_ea, order_number, shipment_id, 0 as line_no
    from shipments
    union all
    select item_id, site_id, activity_date, 1, set_rank, segment_no, 0.0, quantity_ea, null, null, line_no
    from receipts
),

cumulated as (
    select
        *,
        round(sum(shipped_ea) over running, 6) as shipped_to_ea,
        round(sum(received_ea) over running, 6) as received_to_ea,
        round(sum(received_ea - shipped_ea) over running, 6) as ahead_ea
    from flow
    window running as (
        partition by item_id, site_id order by flow_date, flow_order, set_rank, segment_no, order_number, line_no
        rows between unbounded preceding and current row
    )
),

ended as (
    select
        *,
        case
            when flow_order = 0 then shipped_to_ea
            else round(received_to_ea - greatest(0, max(ahead_ea) over (
                partition by item_id, site_id order by flow_date, flow_order, set_rank, segment_no, order_number, line_no
                rows between unbounded preceding and current row
            )), 6)
        end as end_ea
    from cumulated
),

-- Shipments and receipts lie as stretches on one line of units; every end of a stretch cuts it.
cuts as (
    select
        item_id, site_id, end_ea,
        -- Several receipts may end at one point when the later ones are ahead of all shipments: the first one used the units.
        arg_min(struct_pack(order_number, shipment_id, set_rank), flow_date) filter (flow_order = 0) as shipment,
        arg_min(struct_pack(set_rank, segment_no, line_no, flow_date), flow_date) filter (flow_order = 1) as receipt
    from ended
    where end_ea > 0
    group by item_id, site_id, end_ea
),

matched as (
    select
        item_id, site_id,
        end_ea - lag(end_ea, 1, 0) over line as quantity_ea,
        first_value(shipment ignore nulls) over onward as shipment,
        first_value(receipt ignore nulls) over onward as receipt
    from cuts
    window
        line as (partition by item_id, site_id order by end_ea),
        onward as (partition by item_id, site_id order by end_ea rows between current row and unbounded following)
)

select
    shipment.order_number as order_number,
    item_id,
    site_id,
    receipt.flow_date as received_date,
    receipt.set_rank as set_rank,
    receipt.segment_no as segment_no,
    receipt.line_no as line_no,
    max(shipment.shipment_id) as shipment_id,
    max(shipment.set_rank) as shipment_rank,
    sum(quantity_ea) as quantity_ea
from matched
where shipment is not null and receipt is not null
group by all
