{# Every line of a staging model, none left out: our names for item and parties, eaches for its quantity, and the reason why it
   may not enter a fact (`reject_code`, null for nearly all). Names and packs are those of when its message was written.

   stg: staging model. parties: raw column -> our column; the first is the site the row is about when `site_required`.
   extra: further columns, as they are. filter: condition on the staging row. #}
{% macro conform(stg, parties, extra, site_required=false, filter='true') %}
with

lines as (
    select * from {{ ref(stg) }} where {{ filter }}
),

masters as (
    select
        (select count(*) > 0 from {{ ref('int_items_current') }}) as has_items,
        (select count(*) > 0 from {{ ref('int_sites_current') }}) as has_sites
),

named as (
    select
        sets.set_rank,
        lines.segment_no,
        lines.line_no,
        coalesce(by_id.item_id, by_gtin.item_id, lines.item_id) as item_id,
        {% for raw, ours in parties.items() %}
        coalesce(party_{{ loop.index }}.party_id, lines.{{ raw }}) as {{ ours }},
        {% endfor %}
        {% for column in extra %}
        lines.{{ column }},
        {% endfor %}
        lines.quantity,
        lines.unit_code,
        case units.conversion_code
            when 'each' then 1.0
            when 'fixed' then units.factor_ea
            when 'pack' then coalesce(packs.pack_ea, 1.0)
        end as factor_ea,
        units.conversion_code = 'pack' and packs.pack_ea is null as is_pack_assumed,
        case
            when masters.has_items and coalesce(by_id.item_id, by_gtin.item_id) is null then 'unknown_item'
            {% if site_required %}
            when lines.{{ parties.keys() | first }} is null then 'unknown_site'
            when masters.has_sites and not coalesce(party_1.is_site, false) then 'unknown_site'
            {% endif %}
            when units.conversion_code is null then 'unknown_unit'
        end as reject_code
    from lines
    inner join {{ ref('int_sets_ranked') }} as sets
        on lines.document_id = sets.document_id and lines.interchange_no = sets.interchange_no and lines.set_no = sets.set_no
    left join {{ ref('int_item_aliases') }} as by_id on lines.item_id = by_id.alias and {{ held_at('by_id') }}
    left join {{ ref('int_item_aliases') }} as by_gtin on lines.item_gtin = by_gtin.alias and {{ held_at('by_gtin') }}
    left join {{ ref('int_packs_dated') }} as packs
        on coalesce(by_id.item_id, by_gtin.item_id) = packs.item_id and {{ held_at('packs') }}
    {% for raw in parties %}
    left join {{ ref('int_party_aliases') }} as party_{{ loop.index }} 
        on lines.{{ raw }} = party_{{ loop.index }}.alias and {{ held_at('party_' ~ loop.index) }}
    {% endfor %}
    left join {{ ref('seed_unit_codes') }} as units on lines.unit_code = units.unit_code
    cross join masters
)

select
    set_rank, segment_no, line_no, item_id,
    {% for ours in parties.values() %}{{ ours }}, {% endfor %}
    {% for column in extra %}{{ column }}, {% endfor %}
    quantity,
    unit_code,
    quantity * factor_ea as quantity_ea,
    factor_ea,
    is_pack_assumed,
    reject_code
from named
{% endmacro %}
