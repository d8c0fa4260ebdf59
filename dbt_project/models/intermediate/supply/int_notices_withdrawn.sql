-- Lines of shipment notices and receiving advices that a later message took back with the whole document, be it that it cancels the
-- document or that it replaces it and lists them anew or not at all, and the moment from which that was known. A message that names nobody
-- who numbered the document speaks of one that its own sender sent. Few documents are taken back: whoever reads them joins this.
with

whole as (
    select
        said.notice_code as event_code, said.notice_id, sets.set_rank, sets.available_at_utc,
        coalesce(parties.party_id, said.party_id) as party_id, coalesce(senders.party_id, said.sender_id) as sender_id
    from {{ ref('stg_edi__whole_notices') }} as said
    inner join {{ ref('int_sets_ranked') }} as sets
        on said.document_id = sets.document_id and said.interchange_no = sets.interchange_no and said.set_no = sets.set_no
    left join {{ ref('int_party_aliases') }} as parties on said.party_id = parties.alias and {{ held_at('parties') }}
    left join {{ ref('int_party_aliases') }} as senders on said.sender_id = senders.alias and {{ held_at('senders') }}
    where said.notice_id is not null
),

notices as (
    select
        'shipped' as event_code, item_id, shipment_id as notice_id, coalesce(ship_from_id, sender_id, '') as party_id,
        sender_id, set_rank
    from {{ ref('int_shipment_lines_conformed') }}
    where reject_code is null and shipment_id in (select notice_id from whole)
    union all
    select 'received', item_id, trim(receipt_id), coalesce(site_id, sender_id, ''), sender_id, set_rank
    from {{ ref('int_receipt_lines_conformed') }}
    where reject_code is null and trim(receipt_id) in (select notice_id from whole)
)

select
    notices.event_code, notices.item_id, notices.notice_id, notices.party_id, notices.set_rank,
    min(whole.available_at_utc) as taken_at_utc
from notices
inner join whole
    on notices.event_code = whole.event_code and notices.notice_id = whole.notice_id and notices.set_rank < whole.set_rank
    and if(whole.party_id is null, notices.sender_id = whole.sender_id, notices.party_id = whole.party_id)
group by notices.event_code, notices.item_id, notices.notice_id, notices.party_id, notices.set_rank
