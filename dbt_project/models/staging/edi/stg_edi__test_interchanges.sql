-- Test interchanges (and X12's for information only) whose facts count nowhere, however well they read.
{{ config(materialized='table') }}
select
    document_id, interchange_no, coalesce(nullif(trim(sender_id), ''), '(no sender)') as sender_id, sets, available_at_utc
from {{ source('edi', 'raw_edi__interchanges') }}
where upper(trim(usage_code)) in ('T', 'I') and verdict_code <> 'rejected'
    and not list_has_any(getvariable('count_tests_of'), [trim(sender_id), '*'])
