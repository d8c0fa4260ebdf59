select
    {{ edi_opening() }},
    notice_code,
    nullif(trim(notice_id), '') as notice_id,
    said_date,
    action_code,
    nullif(trim(party_id), '') as party_id
{{ from_counted('raw_edi__whole_notices') }}
