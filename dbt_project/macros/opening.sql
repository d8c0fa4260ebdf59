{# What every line of a message opens with: where it stands in its document, who sent it to whom, and both clocks. #}
{% macro edi_opening() -%}
document_id,
    interchange_no,
    set_no,
    segment_no,
    line_no,
    set_code,
    nullif(trim(sender_id), '') as sender_id,
    nullif(trim(receiver_id), '') as receiver_id,
    control_number,
    sent_at_utc,
    available_at_utc
{%- endmacro %}

{# Rows of a raw table without those of test interchanges. #}
{% macro from_counted(table) -%}
from {{ source('edi', table) }}
anti join {{ ref('stg_edi__test_interchanges') }} using (document_id, interchange_no)
{%- endmacro %}
