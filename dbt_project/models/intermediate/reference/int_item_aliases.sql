-- Every name under which a partner may call an item of the master, by stretch of the time in which messages were written: its id, and each
-- GTIN it ever had, with as few as 8 and as many as 14 digits; and each GTIN-14 in messages that is a grouping of one of these.
--
-- GS1 General Specifications, GTIN-14 of a grouping: an indicator of 1 to 8, the GTIN of the item contained without its check digit, a check digit
-- of its own. Indicators have no meaning, so an item may have several groupings, and the item master knows one pack. Which of them it is, `case_gtin`
-- says; where that is not stated it is the only one in use, and from the moment on that messages name a second one, none is (`doubted_from_utc`).
with

said as (
    select item_id as owner, item_gtin as number, available_at_utc
    from {{ ref('stg_master__items') }}
    where item_gtin <> ''
),

numbers as (
    select distinct owner, number, lpad(number, 14, '0') as gtin_14 from said
),

claims as (
    select distinct item_id as alias, item_id as owner, 0 as class_no, 0 as form_no, item_id as number from {{ ref('stg_master__items') }}
    union all
    select number, owner, 1, 1, number from numbers
    union all
    select ltrim(number, '0'), owner, 1, 2, number from numbers
    union all
    select right(numbers.gtin_14, digits.n), numbers.owner, 1, 3, numbers.number
    from numbers
    inner join (values (14), (13), (12), (8)) as digits (n)
        on numbers.gtin_14 = lpad(right(numbers.gtin_14, digits.n), 14, '0')
),

{{ dated_names('claims', 'said') }},

-- One partner's number may stand with a GTIN, or be one.
written as (
    {% for source in ['product_activity', 'inventory_positions', 'order_lines', 'order_responses', 'shipment_lines', 'receipt_lines'] %}
    {% for column in ['item_id', 'item_gtin'] %}
    select {{ column }} as gtin_14, min(available_at_utc) as available_at_utc
    from {{ ref('stg_edi__' ~ source) }}
    where length({{ column }}) = 14
    group by {{ column }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

groupings as (
    select
        gtin_14, min(available_at_utc) as available_at_utc,
        -- The item contained: the indicator of 1 to 8 away, which counts three times in the check digit.
        concat('0', substr(gtin_14, 2, 12), (try_cast(right(gtin_14, 1) as integer) + 3 * try_cast(left(gtin_14, 1) as integer)) % 10) as contained
    from written
    -- Whichever condition is looked at first: names of 14 letters are no numbers.
    where regexp_full_match(gtin_14, '[1-8][0-9]{13}')
        and list_sum(list_transform(range(1, 15), lambda i: try_cast(substr(gtin_14, i, 1) as integer) * (1 + 2 * (i % 2)))) % 10 = 0
        and gtin_14 not in (select alias from dated)
    group by gtin_14
),

cases as (
    select
        groupings.gtin_14, dated.owner, dated.from_utc, dated.to_utc, groupings.available_at_utc,
        ltrim(latest.case_gtin, '0') as case_gtin
    from groupings
    inner join dated on groupings.contained = dated.alias
    inner join {{ ref('int_items_current') }} as latest on dated.owner = latest.item_id
),

firsts as (
    select owner, gtin_14, min(available_at_utc) as available_at_utc from cases group by owner, gtin_14
),

seconds as (
    select owner, available_at_utc
    from firsts
    qualify row_number() over (partition by owner order by available_at_utc, gtin_14) = 2
)

select alias, owner as item_id, from_utc, to_utc, false as is_case, timestamptz 'infinity' as doubted_from_utc
from dated
union all
select
    cases.gtin_14, cases.owner, cases.from_utc, cases.to_utc, true,
    case
        when cases.case_gtin = cases.gtin_14 then timestamptz 'infinity'
        when cases.case_gtin <> '' then timestamptz '-infinity'
        else coalesce(seconds.available_at_utc, timestamptz 'infinity')
    end
from cases
left join seconds using (owner)
