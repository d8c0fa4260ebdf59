{# Every line of a staging model, none left out: our names for item and parties, eaches for its quantity, and the reason why it
   may not enter a fact (`reject_code`, null for nearly all). Names and packs are those of when its message was written; an each of an
   item that is counted by weight, volume, length or area is one of its base unit.

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
        units.conversion_code,
        packs.base_unit_code,
        coalesce(packs.dimension_code, 'each') as dimension_code,
        packs.pack_ea,
        if(by_id.item_id is null, by_gtin.alias, by_id.alias) as alias,
        if(by_id.item_id is null, by_gtin.is_case, by_id.is_case) as is_case,
        {{ factor_to_eaches() }} as factor_ea,
        units.conversion_code = 'pack' and packs.pack_ea is null as is_pack_assumed,
        case
            when masters.has_items and coalesce(by_id.item_id, by_gtin.item_id) is null then 'unknown_item'
            {% if site_required %}
            when lines.{{ parties.keys() | first }} is null then 'unknown_site'
            when masters.has_sites and not coalesce(party_1.is_site, false) then 'unknown_site'
            {% endif %}
        end as unnamed_code
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
),

judged as (
    select
        *,
        case
            when unnamed_code is not null then unnamed_code
            when factor_ea is not null then null
            when is_case and conversion_code in ('each', 'fixed', 'pack') then 'unknown_pack'
            else 'unknown_unit'
        end as reject_code
    from named
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
    reject_code,
    {{ unit_reason() }} as unit_reason
from judged
{% endmacro %}

{# Eaches in one unit of a line; null where nobody can know: a measure of an item that is counted in another one, pieces of goods by weight
   without the weight of a piece, and GTIN-14 of groupings of which the item master does not say how many eaches they hold.
   By GS1 a grouping is a trade item of its own: one each (or piece, or unit) of its GTIN is one case. #}
{% macro factor_to_eaches() -%}
case
            when units.conversion_code = packs.dimension_code and units.conversion_code <> 'each' then units.factor_base / packs.factor_base
            when coalesce(units.conversion_code, '') not in ('each', 'fixed', 'pack') then null
            when if(by_id.item_id is null, by_gtin.is_case, by_id.is_case) then
                if(
                    packs.pack_ea > 1 and sets.available_at_utc < if(by_id.item_id is null, by_gtin.doubted_from_utc, by_id.doubted_from_utc),
                    packs.pack_ea * coalesce(units.factor_ea, 1.0), null
                )
            when units.conversion_code = 'pack' then coalesce(packs.pack_ea, 1.0)
            when coalesce(packs.dimension_code, 'each') = 'each' then units.factor_ea
            else units.factor_ea * packs.piece_ea
        end
{%- endmacro %}

{# Why the unit of a line keeps it out, and what to write where; null for all other lines. #}
{% macro unit_reason() -%}
case
        when reject_code = 'unknown_pack' and pack_ea <= 1 then concat(
            'GTIN ', alias, ' is a case of item ', item_id, ', and the item master says a pack of ', pack_ea,
            '; the line is kept out until the item master says what a case holds (pack_ea)')
        when reject_code = 'unknown_pack' then concat(
            'GTIN ', alias, ' is one of several groupings of item ', item_id, ', and the item master knows one pack, of ', pack_ea,
            '; the line is kept out: write in the item master which of them that is (case_gtin), and ask the sender for eaches of the others')
        when reject_code = 'unknown_unit' and conversion_code is null then concat(
            'unit ', coalesce(unit_code, '(none)'), ' has no known factor to eaches; the line is kept out until seed_unit_codes has it')
        when reject_code = 'unknown_unit' and conversion_code in ('each', 'fixed') then concat(
            'item ', item_id, ' is counted in ', base_unit_code, ' and the line in ', unit_code,
            '; it is kept out until the item master says how many ', base_unit_code, ' one piece is (piece_ea)')
        when reject_code = 'unknown_unit' and dimension_code = 'each' then concat(
            'item ', item_id, ' is counted in eaches and the line in ', unit_code,
            '; it is kept out until the item master says base_unit_code ', unit_code, ' (or another unit of ', conversion_code,
            '), with pack, cost and price per that unit')
        when reject_code = 'unknown_unit' then concat(
            'item ', item_id, ' is counted in ', base_unit_code, ' and the line in ', unit_code, ', a ', conversion_code,
            '; it is kept out: ask the sender for a unit of ', dimension_code, ', or correct base_unit_code in the item master')
    end
{%- endmacro %}
