-- What was said of the call-offs of one blanket order and item, and of them all by the number of the blanket order, in the order in which it
-- was sent, once for each stretch of knowledge (epoch) within which nothing came late and nothing ceased to count: what was matched by then
-- stays as it was. What is said of all other orders is not here, nor where all that is said names a call-off that we know.
with

names as (
    select
        blanket_number, item_id, order_number,
        bool_or(event_code in ('ordered', 'changed', 'cancelled') and not is_bare) as is_called_off,
        min(if(event_code in ('ordered', 'changed', 'cancelled'), available_at_utc, null)) as placed_at_utc,
        min(if(event_code in ('ordered', 'status') or (event_code in ('changed', 'cancelled') and not is_bare), null, available_at_utc)) as named_at_utc,
        bool_or(is_bare) as is_bare
    from {{ ref('int_order_events_said') }}
    where blanket_number is not null
    group by blanket_number, item_id, order_number
),

groups as (
    select blanket_number, item_id
    from names
    group by blanket_number, item_id
    having bool_or(is_called_off)
        and bool_or(named_at_utc is not null and (is_bare or placed_at_utc is null or named_at_utc < placed_at_utc))
),

events as (
    select
        said.*,
        said.event_code in ('ordered', 'changed', 'cancelled') and (not said.is_bare or said.event_code = 'ordered') as is_placing,
        row_number() over (
            order by blanket_number, item_id, said_rank, set_rank, segment_no, line_no, event_code, available_at_utc, order_number
        ) as event_no
    from {{ ref('int_order_events_said') }} as said
    semi join groups using (blanket_number, item_id)
    where said.superseded_at_utc is null or said.superseded_at_utc > said.available_at_utc
),

keyed as (
    select
        *,
        min(event_no) over line as line_key,
        count(*) over line as events_of_line,
        min(if(is_placing, null, available_at_utc)) over (
            partition by blanket_number, item_id order by event_no rows between 1 following and unbounded following
        ) as next_known_at_utc,
        min(if(is_placing, available_at_utc, null)) over of_one as placed_at_utc,
        min(if(is_placing, null, available_at_utc)) over of_one as named_at_utc
    from events
    window
        line as (partition by blanket_number, item_id, set_rank, segment_no, line_no, event_code),
        of_one as (partition by blanket_number, item_id, order_number)
),

turns as (
    select blanket_number, item_id, timestamptz '-infinity' as from_utc from groups
    union
    select blanket_number, item_id, superseded_at_utc from keyed where superseded_at_utc is not null
    union
    select blanket_number, item_id, available_at_utc
    from keyed
    where next_known_at_utc < available_at_utc or events_of_line > 1 or (available_at_utc = placed_at_utc and named_at_utc < placed_at_utc)
),

epochs as (
    select
        *,
        row_number() over (order by blanket_number, item_id, from_utc) as epoch_no,
        coalesce(lead(from_utc) over (partition by blanket_number, item_id order by from_utc), timestamptz 'infinity') as until_utc
    from turns
),

known as (
    select keyed.* exclude (next_known_at_utc, events_of_line, placed_at_utc, named_at_utc), epochs.epoch_no, epochs.from_utc, epochs.until_utc
    from keyed
    inner join epochs using (blanket_number, item_id)
    where keyed.available_at_utc < epochs.until_utc and (keyed.superseded_at_utc is null or keyed.superseded_at_utc > epochs.from_utc)
),

-- Call-offs that are known, the one sent first first.
members as (
    select
        epoch_no, order_number, min(event_no) as first_event_no, arg_min(event_code, event_no) as first_code,
        row_number() over (
            partition by epoch_no
            order by min(sent_at_utc) nulls first, try_cast(any_value(release_number) as hugeint), any_value(release_number), order_number
        ) as age
    from known
    where is_placing
    group by epoch_no, order_number
)

select
    known.*,
    members.age,
    -- The call-off that it names, if we know that one.
    if(known.is_bare and known.event_code not in ('ordered', 'changed'), null, members.order_number) as member,
    member is not null and known.event_code in ('ordered', 'changed', 'cancelled') as places,
    -- What one message orders of a call-off is one step; what was said of it before that waits for it.
    if(
        places,
        min(known.event_no) over (partition by known.epoch_no, known.said_rank, members.order_number, places),
        if(member is null, known.event_no, greatest(known.event_no, members.first_event_no))
    ) as step_event_no,
    not places and coalesce(known.event_no < members.first_event_no and member is not null, false) as is_early,
    -- An answer to what was changed after it no longer counts.
    is_early and known.event_code = 'confirmed' and members.first_code <> 'ordered' as is_idle
from known
left join members on known.epoch_no = members.epoch_no and known.order_number = members.order_number
