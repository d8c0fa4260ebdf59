-- Shipment notices and receiving advices that were sent again, per item and party that numbered them, with the moment from which the one
-- sent later was known: it takes the place of what the one before said, whichever order that named. What a message took back with the whole
-- document stands no more either. A notice without a number replaces none. Few notices are sent again: whoever reads them joins this.
with

notices as (
    select 'shipped' as event_code, item_id, shipment_id as notice_id, coalesce(ship_from_id, sender_id, '') as party_id, set_rank
    from {{ ref('int_shipment_lines_conformed') }}
    where reject_code is null and shipment_id is not null
    union all
    select 'received', item_id, trim(receipt_id), coalesce(site_id, sender_id, ''), set_rank
    from {{ ref('int_receipt_lines_conformed') }}
    where reject_code is null and trim(receipt_id) <> ''
),

several as (
    select event_code, item_id, notice_id, party_id
    from notices
    group by event_code, item_id, notice_id, party_id
    having min(set_rank) < max(set_rank)
),

sent as (
    select distinct notices.event_code, notices.item_id, notices.notice_id, notices.party_id, notices.set_rank, sets.available_at_utc
    from notices
    inner join several using (event_code, item_id, notice_id, party_id)
    inner join {{ ref('int_sets_ranked') }} as sets using (set_rank)
),

replaced as (
    select
        event_code, item_id, notice_id, party_id, set_rank,
        {{ superseded_at('event_code, item_id, notice_id, party_id') }} as superseded_at_utc
    from sent
    qualify superseded_at_utc is not null
)

select
    event_code, item_id, notice_id, party_id, set_rank,
    least(replaced.superseded_at_utc, withdrawn.taken_at_utc) as superseded_at_utc
from replaced
full join {{ ref('int_notices_withdrawn') }} as withdrawn using (event_code, item_id, notice_id, party_id, set_rank)
