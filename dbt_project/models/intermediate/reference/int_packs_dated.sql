-- What a case of each item held, by stretch of the time in which messages were written.
--
-- A pack holds from the moment its statement reached us, or from the day that the statement names, if that is earlier; of several that hold the
-- one stated last counts. What was written before any of them is taken by the one stated first.
with

stated as (
    select
        item_id, pack_ea, available_at_utc, document_id, line_no,
        least(
            available_at_utc, timezone(getvariable('business_tz'), cast(pack_from_date as timestamp))
        ) as since_utc
    from {{ ref('stg_master__items') }}
),

-- Nearly every item has had one pack, however often it was stated.
changed as (
    select item_id from stated group by item_id having min(pack_ea) <> max(pack_ea)
),

moments as (
    select distinct stated.item_id, stated.since_utc
    from stated
    semi join changed using (item_id)
),

held as (
    select
        moments.item_id, moments.since_utc,
        arg_max(stated.pack_ea, (stated.available_at_utc, stated.document_id, stated.line_no)) as pack_ea
    from moments
    inner join stated on moments.item_id = stated.item_id and stated.since_utc <= moments.since_utc
    group by moments.item_id, moments.since_utc
    union all
    select item_id, timestamptz '-infinity', arg_min(pack_ea, (available_at_utc, document_id, line_no))
    from stated
    semi join changed using (item_id)
    group by item_id
),

turns as (
    select *
    from held
    qualify pack_ea is distinct from lag(pack_ea) over (partition by item_id order by since_utc)
)

select
    item_id, pack_ea, since_utc as from_utc,
    coalesce(lead(since_utc) over (partition by item_id order by since_utc), timestamptz 'infinity') as to_utc
from turns
union all
select item_id, min(pack_ea), timestamptz '-infinity', timestamptz 'infinity'
from stated
anti join changed using (item_id)
group by item_id
