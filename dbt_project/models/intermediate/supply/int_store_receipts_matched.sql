-- Which order a store's receipt belongs to, where the store reports receipts only as activity (QR) without naming an order, and the
-- stretch in which that was the best we knew.
-- Per item and store, shipments are used up oldest first. A receipt beyond everything shipped so far (cumulative receipts less
-- cumulative shipments at a new high) belongs to no shipment, and never to a later one.
-- A notice or report that becomes known out of order, or is replaced, begins a new epoch of its item and store: the whole matching
-- is made once per epoch, over what was known in it. Within an epoch everything only adds on behind, which moves no earlier match.
with

flow as (
    select
        item_id, ship_to_id as site_id, shipped_date as flow_date, 0 as flow_order, set_rank, segment_no, 0 as line_no,
        quantity_ea as shipped_ea, 0.0 as received_ea, order_number, shipment_id, available_at_utc, superseded_at_utc
    from {{ ref('int_shipments_versioned') }}
    where quantity_ea > 0 and ship_to_id is not null
    union all
    select
        item_id, site_id, activity_date, 1, set_rank, segment_no, line_no,
        0.0, quantity_ea, null, null, available_at_utc, superseded_at_utc
    from {{ ref('int_store_receipts_versioned') }}
),

placed as (
    select
        *,
        row_number() over (
            partition by item_id, site_id order by flow_date, flow_order, set_rank, segment_no, order_number, line_no
        ) as flow_no
    from flow
),

late as (
    select item_id, site_id, available_at_utc as epoch_utc
    from placed
    qualify available_at_utc > min(available_at_utc) over (
        partition by item_id, site_id order by flow_no rows between 1 following and unbounded following
    )
),

starts as (
    select distinct item_id, site_id, cast('-infinity' as timestamptz) as epoch_utc from placed
    union
    select item_id, site_id, epoch_utc from late
    union
    select item_id, site_id, superseded_at_utc from placed where superseded_at_utc is not null
),

epochs as (
    select
        *,
        row_number() over epochs_of_one as epoch_no,
        lead(epoch_utc) over epochs_of_one as epoch_end_utc
    from starts
    window epochs_of_one as (partition by item_id, site_id order by epoch_utc)
),

known as (
    select placed.*, epochs.epoch_no, epochs.epoch_utc, epochs.epoch_end_utc
    from placed
    inner join epochs
        on placed.item_id = epochs.item_id and placed.site_id = epochs.site_id
        and (epochs.epoch_end_utc is null or placed.available_at_utc < epochs.epoch_end_utc)
        and (placed.superseded_at_utc is null or placed.superseded_at_utc >= epochs.epoch_end_utc)
),

cumulated as (
    select
        *,
        round(sum(shipped_ea) over running, 6) as shipped_to_ea,
        round(sum(received_ea) over running, 6) as received_to_ea,
        round(sum(received_ea - shipped_ea) over running, 6) as ahead_ea
    from known
    window running as (partition by item_id, site_id, epoch_no order by flow_no rows between unbounded preceding and current row)
),

ended as (
    select
        *,
        case
            when flow_order = 0 then shipped_to_ea
            else round(received_to_ea - greatest(0, max(ahead_ea) over (
                partition by item_id, site_id, epoch_no order by flow_no rows between unbounded preceding and current row
            )), 6)
        end as end_ea
    from cumulated
),

-- Shipments and receipts lie as stretches on one line of units; every end of a stretch cuts it.
cuts as (
    select
        item_id, site_id, epoch_no, epoch_utc, epoch_end_utc, end_ea,
        -- Several receipts may end at one point when the later ones are ahead of all shipments: the first one used the units.
        arg_min(struct_pack(order_number, shipment_id, available_at_utc), flow_no) filter (flow_order = 0) as shipment,
        arg_min(struct_pack(set_rank, segment_no, line_no, flow_date, available_at_utc), flow_no) filter (flow_order = 1) as receipt
    from ended
    where end_ea > 0
    group by item_id, site_id, epoch_no, epoch_utc, epoch_end_utc, end_ea
),

matched as (
    select
        item_id, site_id, epoch_no, epoch_utc, epoch_end_utc,
        end_ea - lag(end_ea, 1, 0) over line as quantity_ea,
        first_value(shipment ignore nulls) over onward as shipment,
        first_value(receipt ignore nulls) over onward as receipt
    from cuts
    window
        line as (partition by item_id, site_id, epoch_no order by end_ea),
        onward as (
            partition by item_id, site_id, epoch_no order by end_ea rows between current row and unbounded following
        )
),

by_epoch as (
    select
        shipment.order_number as order_number, item_id, site_id, epoch_no, epoch_end_utc,
        receipt.flow_date as received_date,
        receipt.set_rank as set_rank,
        receipt.segment_no as segment_no,
        receipt.line_no as line_no,
        max(shipment.shipment_id) as shipment_id,
        -- Known when the receipt and its shipments are, and not before the epoch that matches them so.
        max(greatest(shipment.available_at_utc, receipt.available_at_utc, epoch_utc)) as available_at_utc,
        round(sum(quantity_ea), 6) as quantity_ea
    from matched
    where shipment is not null and receipt is not null
    group by all
),

-- Epochs in a row that match alike are one stretch.
compared as (
    select
        *,
        epoch_no - row_number() over (
            partition by order_number, item_id, site_id, set_rank, segment_no, line_no, shipment_id, quantity_ea order by epoch_no
        ) as stretch_no
    from by_epoch
)

select
    order_number, item_id, site_id, received_date, set_rank, segment_no, line_no, shipment_id, quantity_ea,
    min(available_at_utc) as available_at_utc,
    if(bool_or(epoch_end_utc is null), null, max(epoch_end_utc)) as superseded_at_utc
from compared
group by order_number, item_id, site_id, received_date, set_rank, segment_no, line_no, shipment_id, quantity_ea, stretch_no
