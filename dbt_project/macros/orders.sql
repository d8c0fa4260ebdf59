{# Days without a word after which the rest of a part delivery counts as not coming (docs/marts.md). #}
{% macro short_close_days() -%} 14 {%- endmacro %}

{# Control numbers that are numbers sort as numbers. #}
{% macro control_order() -%}
case when regexp_full_match(control_number, '[0-9]{1,18}') then cast(control_number as bigint) end
{%- endmacro %}

{# Days between the dates of two orders of one number after which the second is another order (docs/marts.md). #}
{% macro another_order_days() -%} 270 {%- endmacro %}

{# Joins to shipment lines (`lines`) when a notice sent again took the place of theirs (`replaced`; null where none did). #}
{% macro join_replaced_shipments() -%}
left join {{ ref('int_notices_replaced') }} as replaced
        on replaced.event_code = 'shipped' and lines.item_id = replaced.item_id and lines.shipment_id = replaced.notice_id
        and coalesce(lines.ship_from_id, lines.sender_id, '') = replaced.party_id and lines.set_rank = replaced.set_rank
{%- endmacro %}

{# Joins what was said of order lines to their receiving sites (`sites`): to the one it names, to all where it names none of them. #}
{% macro join_sites(said) -%}
left join sites as named
        on {{ said }}.order_number = named.order_number and {{ said }}.item_id = named.item_id and {{ said }}.site_id = named.site_id
    inner join sites
        on {{ said }}.order_number = sites.order_number and {{ said }}.item_id = sites.item_id
        and (named.site_id is null or named.site_id = sites.site_id)
{%- endmacro %}

{# The release number of a message, without the zeros it is padded with; null where it names none. #}
{% macro release_of_message() -%} nullif(ltrim(trim(release_number), '0'), '') {%- endmacro %}

{# What an order is called here: a call-off (X12 328) by the number of its blanket order and its own. #}
{% macro called_off() -%}
concat(trim(order_number), ' release ', {{ release_of_message() }})
{%- endmacro %}

{# The order that a message about orders names: its call-off where orders call off under that number, else the number as sent. #}
{% macro named_order() -%}
case
        when {{ release_of_message() }} is not null and trim(order_number) in (select blanket_number from {{ ref('stg_edi__call_offs') }})
            then {{ called_off() }}
        else nullif(trim(order_number), '')
    end
{%- endmacro %}
