-- To which call-off belongs what names only its blanket order: message by message in the order they were sent, goods and answers fill the
-- call-offs sent before them that are open, oldest first, and what is left over stays on the newest. One that names a site is for the
-- call-offs for it, if there are any; a change is one of the newest call-off, a cancellation one of all that are open.
with recursive

steps as materialized (
    select
        *,
        cast(dense_rank() over (partition by epoch_no order by step_event_no, if(places, 0, event_no)) as integer) as step_no
    from {{ ref('int_call_off_events') }}
    where event_code <> 'status'
),

placings as (
    select
        epoch_no, step_no, member, any_value(age) as age, any_value(said_rank) as said_rank, site_id,
        sum(quantity_ea) as part_ea, bool_and(event_code = 'cancelled') as is_gone, bool_and(event_code = 'ordered') as is_order
    from steps
    where places
    group by epoch_no, step_no, member, site_id
),

placed as (
    select
        *,
        bool_or(site_id is not null) over step as names_sites,
        sum(part_ea) over step as whole_ea,
        bool_and(is_order) over step as are_orders,
        min(step_no) over of_one as first_step_no,
        min(if(site_id is null, null, step_no)) over of_one as named_step_no,
        min(site_id) over step as least_site_id,
        row_number() over (partition by epoch_no, member, site_id order by step_no) = 1 as is_first
    from placings
    window step as (partition by epoch_no, step_no), of_one as (partition by epoch_no, member)
),

-- A call-off that first names no site and then does moves to the first of these.
sited as (
    select
        epoch_no, step_no, 'placed' as kind, any_value(member) as member, any_value(said_rank) as said_rank, cast(null as varchar) as said_site_id,
        cast(null as double) as said_ea, false as is_early, any_value(age) as member_age, any_value(names_sites) as names_sites, any_value(whole_ea) as whole_ea,
        any_value(are_orders) as are_orders,
        any_value(if(step_no = named_step_no and first_step_no < step_no, least_site_id, null)) as adopted_site_id,
        list({
            'site_id': site_id, 'part_ea': part_ea, 'is_gone': is_gone,
            'is_new': if(
                site_id is null, step_no = first_step_no and not names_sites,
                is_first and not (step_no = named_step_no and first_step_no < step_no and site_id = least_site_id)
            )
        } order by site_id) as parts
    from placed
    where site_id is not null or not names_sites
    group by epoch_no, step_no
),

-- From which step on a call-off is neither named nor placed again, nor the newest at any of its sites.
ceasing as (
    select epoch_no, member, if(bool_or(next_step_no is null), null, max(next_step_no)) as next_step_no
    from (
        select
            epoch_no, member,
            min(step_no) over (partition by epoch_no, site_id order by age rows between 1 following and unbounded following) as next_step_no
        from placed
        where is_first
    )
    group by epoch_no, member
),

last_words as (
    select steps.epoch_no, steps.member, greatest(max(steps.step_no), any_value(ceasing.next_step_no)) as last_step_no
    from steps
    inner join ceasing on steps.epoch_no = ceasing.epoch_no and steps.member = ceasing.member
    where ceasing.next_step_no is not null
    group by steps.epoch_no, steps.member
),

said as materialized (
    select sited.*, last_words.last_step_no
    from sited
    left join last_words on sited.epoch_no = last_words.epoch_no and sited.member = last_words.member
    union all
    select
        epoch_no, step_no, if(is_idle, 'idle', event_code), member, said_rank, site_id, quantity_ea, is_early, age, false, null, false, null, [], null
    from steps
    where not places
),

state as (
    -- One row that belongs to no call-off carries the steps on before there is any.
    select distinct
        epoch_no, 0 as step_no, cast(null as varchar) as member, cast(null as varchar) as site_id, cast(null as bigint) as age, 0.0::double as share,
        0.0::double as ordered_ea, cast(null as double) as answered_ea, 0::integer as answer_rank, 0.0::double as shipped_ea, 0.0::double as taken_ea,
        0.0::double as after_ea, false as is_cancelled, 0::integer as placed_rank, cast(null as integer) as last_step_no, false as is_hit,
        cast(null as double) as hit_ea
    from said
    union all
    (
        with

        heard as (
            select
                state.*, said.kind, said.member as said_member, said.said_rank, said.said_site_id, said.said_ea, said.is_early, said.names_sites,
                said.whole_ea, said.are_orders, said.parts, said.step_no as next_step_no,
                said.kind in ('changed', 'cancelled') as is_order,
                said.kind = 'placed' and state.member = said.member as is_placed,
                if(is_placed, coalesce(state.site_id, said.adopted_site_id), state.site_id) as site_now,
                if(is_placed, list_filter(said.parts, lambda p: p.site_id is not distinct from site_now)[1], null) as part,
                coalesce(state.answered_ea, state.ordered_ea) as due_ea,
                case
                    when state.is_cancelled then greatest(least(state.after_ea, state.shipped_ea - state.taken_ea), 0)
                    else greatest(greatest(coalesce(state.answered_ea, state.ordered_ea), state.shipped_ea) - state.taken_ea, 0)
                end as open_ea
            from state
            inner join said on state.epoch_no = said.epoch_no and state.step_no + 1 = said.step_no
        ),

        -- The rows of one call-off are those of one age, so that all windows are of one order.
        ready as (
            select
                *,
                bool_or(site_id = said_site_id and (said_member is null or member = said_member)) over of_all as has_site,
                bool_or(site_id = said_site_id) over of_one as site_of_one,
                -- Nothing more can come to what is complete.
                coalesce(bool_and(
                    next_step_no > last_step_no and open_ea <= 1e-9 and (is_cancelled or shipped_ea >= due_ea - 1e-9)
                    and answer_rank <> said_rank and placed_rank <> said_rank
                ) over of_one, false) as is_done
            from heard
            window
                of_all as (partition by epoch_no order by age range between unbounded preceding and unbounded following),
                of_one as (partition by epoch_no order by age range between current row and current row)
        ),

        able as (
            select
                *,
                member is not null and not is_done and kind <> 'placed' and (said_member is null or member = said_member)
                    and (not coalesce(has_site, false) or if(is_order, site_of_one, site_id = said_site_id)) as is_meant,
                case
                    when is_done then 0
                    when kind = 'shipped' then if(is_cancelled, 0, greatest(due_ea - shipped_ea, 0))
                    when kind in ('received', 'refused') then open_ea
                    when kind = 'cancelled' then if(placed_rank = said_rank, 1, open_ea)
                    when kind <> 'confirmed' or is_cancelled then 0
                    when answered_ea is null then if(open_ea > 0, ordered_ea, 0)
                    when answer_rank = said_rank then greatest(ordered_ea - answered_ea, 0)
                    else 0
                end as room_ea
            from ready
        ),

        measured as (
            select
                *,
                sum(if(is_meant, room_ea, 0)) over of_one as one_room_ea,
                coalesce(sum(if(is_meant, room_ea, 0)) over older, 0) as older_room_ea,
                sum(if(is_meant, room_ea, 0)) over of_all as all_room_ea,
                min(if(is_meant and room_ea > 0, age, null)) over of_all as oldest_age,
                coalesce(max(if(is_meant and open_ea > 0, age, null)) over of_all, max(if(is_meant, age, null)) over of_all) as newest_age,
                case
                    when coalesce(has_site, false) and not is_order then 1
                    when sum(share) over of_one > 0 then share / sum(share) over of_one
                    else 1.0 / count(*) over of_one
                end as part_frac
            from able
            window
                of_all as (partition by epoch_no order by age range between unbounded preceding and unbounded following),
                of_one as (partition by epoch_no order by age range between current row and current row),
                older as (partition by epoch_no order by age range between unbounded preceding and 1 preceding)
        ),

        matched as (
            select
                *,
                case
                    when not is_meant then null
                    when said_member is not null then said_ea
                    when kind in ('changed', 'cancelled') or said_ea is null or said_ea <= 0 then said_ea
                    else least(greatest(said_ea - older_room_ea, 0), one_room_ea) + if(age = newest_age, greatest(said_ea - all_room_ea, 0), 0)
                end as one_ea,
                is_meant and case
                    when said_member is not null then true
                    when kind = 'changed' then age = newest_age
                    when kind = 'cancelled' or (kind = 'confirmed' and said_ea is null) then if(all_room_ea > 0, one_room_ea > 0, age = newest_age)
                    when kind = 'confirmed' and said_ea = 0 then age = coalesce(oldest_age, newest_age)
                    when said_ea <= 0 then age = newest_age
                    else one_ea > 1e-9
                end as hits
            from measured
            where not is_done
        )

        select
            epoch_no, next_step_no, member, site_now, age,
            if(is_placed and names_sites and whole_ea > 0, coalesce(part.part_ea, 0) / whole_ea, share),
            case
                when is_placed and part is not null then part.part_ea
                when is_placed then if(names_sites, 0, whole_ea * part_frac)
                when hits and kind = 'changed' then if(placed_rank = said_rank, ordered_ea, 0) + one_ea * part_frac
                when hits and kind = 'cancelled' and placed_rank <> said_rank then 0
                else ordered_ea
            end as ordered_now_ea,
            case
                when is_placed then if(are_orders and abs(ordered_now_ea - ordered_ea) < 1e-6, answered_ea, null)
                when hits and kind in ('changed', 'cancelled') then null
                when hits and kind = 'confirmed' and said_ea is null then ordered_ea
                when hits and kind = 'confirmed' then if(answer_rank = said_rank, coalesce(answered_ea, 0), 0) + one_ea * part_frac
                else answered_ea
            end,
            if(hits and kind = 'confirmed', said_rank, answer_rank),
            shipped_ea + if(hits and kind = 'shipped', one_ea * part_frac, 0),
            taken_ea + if(hits and kind in ('received', 'refused'), one_ea * part_frac, 0),
            case
                when is_placed or (hits and kind in ('changed', 'cancelled')) then 0
                else after_ea + if(hits and kind = 'shipped' and not is_early, one_ea * part_frac, 0)
            end,
            case
                when is_placed and part is not null then part.is_gone
                when is_placed and names_sites then true
                when is_placed then parts[1].is_gone
                when hits and kind = 'changed' then false
                when hits and kind = 'cancelled' and placed_rank <> said_rank then true
                else is_cancelled
            end,
            if(is_placed or (hits and kind in ('changed', 'cancelled')), said_rank, placed_rank),
            last_step_no,
            hits and said_member is null,
            if(hits and said_member is null, one_ea * part_frac, null)
        from matched
        union all
        select
            epoch_no, step_no, member, new.site_id, member_age, if(whole_ea > 0, new.part_ea / whole_ea, if(new.site_id is null, 1, 0)),
            new.part_ea, null, 0, 0, 0, 0, new.is_gone, said_rank, last_step_no, false, null
        from (
            select said.*, unnest(list_filter(said.parts, lambda p: p.is_new)) as new
            from state
            inner join said on state.epoch_no = said.epoch_no and state.step_no + 1 = said.step_no
            where state.member is null and said.kind = 'placed'
        )
    )
),

found as (
    select epoch_no, step_no, member, sum(hit_ea) as hit_ea
    from state
    where is_hit
    group by epoch_no, step_no, member
),

taken as (
    select
        steps.* replace (
            coalesce(found.member, steps.order_number) as order_number,
            if(found.member is null, steps.quantity_ea, found.hit_ea) as quantity_ea,
            -- The site of a change is where the line is.
            if(found.member is not null and steps.event_code in ('changed', 'cancelled'), null, steps.site_id) as site_id
        ),
        found.member is not null as is_found
    from steps
    left join found on steps.epoch_no = found.epoch_no and steps.step_no = found.step_no and not steps.places
),

-- One line of a receipt can be for one call-off by two ways: as the notice names it, and as what the notice leaves open is matched.
shared as (
    select
        epoch_no, blanket_number, item_id, line_key, order_number, bool_or(is_found) as is_found, min(site_id) as site_id,
        min(event_no) as event_no, min(shipment_id) as shipment_id, sum(quantity_ea) as quantity_ea,
        greatest(min(available_at_utc), any_value(from_utc)) as from_utc,
        least(min(superseded_at_utc), any_value(until_utc)) as until_utc
    from taken
    group by epoch_no, blanket_number, item_id, line_key, order_number
),

-- Where nothing changed from one stretch of knowledge to the next there is one.
marked as (
    select
        *,
        coalesce(
            from_utc = lag(until_utc) over one and site_id is not distinct from lag(site_id) over one
            and quantity_ea is not distinct from lag(quantity_ea) over one,
            false
        ) as goes_on
    from shared
    window one as (partition by line_key, order_number order by epoch_no)
),

runs as (
    select *, count(*) filter (not goes_on) over (partition by line_key, order_number order by epoch_no) as run_no
    from marked
),

stretches as (
    select
        line_key, order_number, arg_min(event_no, epoch_no) as event_no, any_value(quantity_ea) as quantity_ea, any_value(site_id) as site_id,
        min(from_utc) as available_at_utc, if(max(until_utc) = timestamptz 'infinity', null, max(until_utc)) as superseded_at_utc
    from runs
    group by line_key, order_number, run_no
),

-- What a carrier says of a shipment he says to every call-off that the shipment was for.
sent as (
    select blanket_number, item_id, shipment_id, order_number, min(from_utc) as available_at_utc
    from shared
    where is_found and shipment_id is not null
    group by blanket_number, item_id, shipment_id, order_number
),

events as (
    select * exclude (epoch_no, from_utc, until_utc, age, member, places, step_event_no)
    from {{ ref('int_call_off_events') }}
    qualify row_number() over (partition by event_no order by epoch_no) = 1
)

select events.* exclude (is_placing, event_no, line_key) replace (
    stretches.order_number as order_number, stretches.quantity_ea as quantity_ea, stretches.site_id as site_id,
    stretches.available_at_utc as available_at_utc, stretches.superseded_at_utc as superseded_at_utc
)
from stretches
inner join events using (event_no)
union all
select events.* exclude (is_placing, event_no, line_key) replace (
    coalesce(sent.order_number, events.order_number) as order_number,
    greatest(events.available_at_utc, sent.available_at_utc) as available_at_utc
)
from events
left join sent
    on events.is_bare and events.blanket_number = sent.blanket_number and events.item_id = sent.item_id and events.shipment_id = sent.shipment_id
where events.event_code = 'status'
    and (events.superseded_at_utc is null or sent.available_at_utc is null or events.superseded_at_utc > sent.available_at_utc)
