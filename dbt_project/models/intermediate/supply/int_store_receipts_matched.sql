-- Which order a store's receipt belongs to, where the store reports receipts only as activity (QR) without naming an order, and the
-- stretch in which that was the best we knew.
-- Per item and store (a chain), shipments are used up oldest first. A receipt beyond everything shipped so far (cumulative receipts
-- less cumulative shipments at a new high) belongs to no shipment, and never to a later one.
-- A notice or report that becomes known out of order, or is replaced, begins a new epoch of its chain. Within an epoch everything
-- only adds on behind, which moves no earlier match. What lies before the first place that an epoch or a later one changes
-- (`from_no`) is matched for good: an epoch is matched from there on, over what was known in it, and goes on from what the shipments
-- and receipts before that place add up to.
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

chains as (
    select item_id, site_id, row_number() over (order by item_id, site_id) as chain_no
    from (select distinct item_id, site_id from flow)
),

placed as (
    select
        flow.*, chains.chain_no,
        row_number() over (
            partition by chains.chain_no order by flow_date, flow_order, set_rank, segment_no, order_number, line_no
        ) as flow_no
    from flow
    inner join chains using (item_id, site_id)
),

steps as (
    select chain_no, flow_no, flow_order, shipped_ea, received_ea, available_at_utc, superseded_at_utc from placed
),

late as (
    select chain_no, available_at_utc, flow_no
    from steps
    qualify available_at_utc > min(available_at_utc) over (
        partition by chain_no order by flow_no rows between 1 following and unbounded following
    )
),

starts as (
    select chain_no, cast('-infinity' as timestamptz) as epoch_utc, 1 as flow_no from chains
    union all
    select chain_no, available_at_utc, flow_no from late
    union all
    select chain_no, superseded_at_utc, flow_no from steps where superseded_at_utc is not null
),

changes as (
    select chain_no, epoch_utc, min(flow_no) as flow_no from starts group by chain_no, epoch_utc
),

ranges as (
    select
        chain_no, epoch_utc,
        row_number() over epochs_of_one as epoch_no,
        lead(epoch_utc) over epochs_of_one as epoch_end_utc,
        min(flow_no) over (
            partition by chain_no order by epoch_utc rows between current row and unbounded following
        ) as from_no,
        min(flow_no) over (
            partition by chain_no order by epoch_utc rows between 1 following and unbounded following
        ) as until_no
    from changes
    window epochs_of_one as (partition by chain_no order by epoch_utc)
),

-- What is known now, added up. Before `from_no` an epoch knew the same.
summed as (
    select
        chain_no, flow_no, flow_order,
        round(sum(shipped_ea) over running, 6) as shipped_to_ea,
        round(sum(received_ea) over running, 6) as received_to_ea,
        round(sum(received_ea - shipped_ea) over running, 6) as ahead_ea
    from steps
    where superseded_at_utc is null
    window running as (partition by chain_no order by flow_no rows between unbounded preceding and current row)
),

settled as (
    select
        chain_no, flow_no, flow_order, shipped_to_ea, received_to_ea,
        greatest(0, max(ahead_ea) over (
            partition by chain_no order by flow_no rows between unbounded preceding and current row
        )) as beyond_ea
    from summed
),

epochs as (
    select
        ranges.*,
        coalesce(settled.shipped_to_ea, 0) as from_shipped_ea,
        coalesce(settled.received_to_ea, 0) as from_received_ea,
        coalesce(settled.beyond_ea, 0) as from_beyond_ea,
        coalesce(round(settled.received_to_ea - settled.beyond_ea, 6), 0) as from_end_ea
    from ranges
    asof left join settled on ranges.chain_no = settled.chain_no and ranges.from_no > settled.flow_no
),

cumulated as (
    select
        steps.chain_no, epochs.epoch_no, steps.flow_no, steps.flow_order,
        round(epochs.from_shipped_ea + sum(steps.shipped_ea) over running, 6) as shipped_to_ea,
        round(epochs.from_received_ea + sum(steps.received_ea) over running, 6) as received_to_ea,
        epochs.from_beyond_ea
    from steps
    inner join epochs
        on steps.chain_no = epochs.chain_no and steps.flow_no >= epochs.from_no
        and (epochs.epoch_end_utc is null or steps.available_at_utc < epochs.epoch_end_utc)
        and (steps.superseded_at_utc is null or steps.superseded_at_utc >= epochs.epoch_end_utc)
    window running as (partition by steps.chain_no, epochs.epoch_no order by steps.flow_no rows between unbounded preceding and current row)
),

ends as (
    select
        chain_no, epoch_no, flow_no, flow_order,
        case
            when flow_order = 0 then shipped_to_ea
            else round(received_to_ea - greatest(from_beyond_ea, max(received_to_ea - shipped_to_ea) over (
                partition by chain_no, epoch_no order by flow_no rows between unbounded preceding and current row
            )), 6)
        end as end_ea
    from cumulated
    union all
    -- Shipments before the epoch's place that nothing before it used up.
    select epochs.chain_no, epochs.epoch_no, settled.flow_no, 0, settled.shipped_to_ea
    from epochs
    inner join settled
        on epochs.chain_no = settled.chain_no and settled.flow_order = 0
        and settled.flow_no < epochs.from_no and settled.shipped_to_ea > epochs.from_end_ea
),

-- Shipments and receipts lie as stretches on one line of units; every end of a stretch cuts it.
cuts as (
    select
        ends.chain_no, ends.epoch_no, epochs.from_end_ea, ends.end_ea,
        -- Several receipts may end at one point when the later ones are ahead of all shipments: the first one used the units.
        min(ends.flow_no) filter (ends.flow_order = 0) as shipment_no,
        min(ends.flow_no) filter (ends.flow_order = 1) as receipt_no
    from ends
    inner join epochs using (chain_no, epoch_no)
    where ends.end_ea > epochs.from_end_ea
    group by ends.chain_no, ends.epoch_no, epochs.from_end_ea, ends.end_ea
),

matched as (
    select
        chain_no, epoch_no,
        end_ea - lag(end_ea, 1, from_end_ea) over line as quantity_ea,
        first_value(shipment_no ignore nulls) over onward as shipment_no,
        first_value(receipt_no ignore nulls) over onward as receipt_no
    from cuts
    window
        line as (partition by chain_no, epoch_no order by end_ea),
        onward as (partition by chain_no, epoch_no order by end_ea rows between current row and unbounded following)
),

by_epoch as (
    select
        shipment.order_number, receipt.item_id, receipt.site_id,
        receipt.flow_date as received_date,
        receipt.set_rank, receipt.segment_no, receipt.line_no,
        max(shipment.shipment_id) as shipment_id,
        epochs.epoch_no,
        -- No later epoch changes anything before `until_no`.
        if(receipt.flow_no < epochs.until_no, null, epochs.epoch_end_utc) as epoch_end_utc,
        -- Known when the receipt and its shipments are, and not before the epoch that matches them so.
        max(greatest(shipment.available_at_utc, receipt.available_at_utc, epochs.epoch_utc)) as available_at_utc,
        round(sum(matched.quantity_ea), 6) as quantity_ea
    from matched
    inner join epochs using (chain_no, epoch_no)
    inner join placed as shipment on matched.chain_no = shipment.chain_no and matched.shipment_no = shipment.flow_no
    inner join placed as receipt on matched.chain_no = receipt.chain_no and matched.receipt_no = receipt.flow_no
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
