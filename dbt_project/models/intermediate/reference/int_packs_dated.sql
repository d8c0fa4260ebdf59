-- What a case and a piece of each item held, by stretch of the time in which messages were written, and the unit it is counted in at all times.
--
-- A pack holds from the moment its statement reached us, or from the day that the statement names, if that is earlier; of several that hold the
-- one stated last counts. What was written before any of them is taken by the one stated first. A statement in another base unit than that of
-- the latest says nothing of cases: its 6 were pieces, or pounds.
with

stated as (
    select
        items.item_id, items.available_at_utc, items.document_id, items.line_no,
        struct_pack(pack_ea := items.pack_ea, piece_ea := coalesce(items.piece_ea, 0.0)) as held,
        least(
            items.available_at_utc, timezone(getvariable('business_tz'), cast(items.pack_from_date as timestamp))
        ) as since_utc
    from {{ ref('stg_master__items') }} as items
    inner join {{ ref('int_items_current') }} as latest
        on items.item_id = latest.item_id and items.base_unit_code is not distinct from latest.base_unit_code
),

-- Nearly every item has had one pack, however often it was stated.
changed as (
    select item_id from stated group by item_id having min(held) <> max(held)
),

moments as (
    select distinct stated.item_id, stated.since_utc
    from stated
    semi join changed using (item_id)
),

dated as (
    select
        moments.item_id, moments.since_utc,
        arg_max(stated.held, (stated.available_at_utc, stated.document_id, stated.line_no)) as held
    from moments
    inner join stated on moments.item_id = stated.item_id and stated.since_utc <= moments.since_utc
    group by moments.item_id, moments.since_utc
    union all
    select item_id, timestamptz '-infinity', arg_min(held, (available_at_utc, document_id, line_no))
    from stated
    semi join changed using (item_id)
    group by item_id
),

turns as (
    select *
    from dated
    qualify held is distinct from lag(held) over (partition by item_id order by since_utc)
),

stretches as (
    select
        item_id, held, since_utc as from_utc,
        coalesce(lead(since_utc) over (partition by item_id order by since_utc), timestamptz 'infinity') as to_utc
    from turns
    union all
    select item_id, min(held), timestamptz '-infinity', timestamptz 'infinity'
    from stated
    anti join changed using (item_id)
    group by item_id
)

select
    stretches.item_id, stretches.held.pack_ea as pack_ea, nullif(stretches.held.piece_ea, 0.0) as piece_ea,
    latest.base_unit_code, latest.dimension_code, latest.factor_base, stretches.from_utc, stretches.to_utc
from stretches
inner join {{ ref('int_items_current') }} as latest using (item_id)
