{# Names of ours as messages write them, by stretch of the time in which these were written (columns alias, owner, from_utc, to_utc).

   Among owners of one name the lowest class goes before the others at all times, and within it the one that was said last: from the
   first moment on, until another is said to have it. Of one moment the closest form, then the first by name.

   claims: CTE with alias, owner, class_no, form_no, number; said: CTE with owner, number, available_at_utc of each statement. #}
{% macro dated_names(claims, said) -%}
best as (
    select * from {{ claims }}
    where alias <> ''
    qualify class_no = min(class_no) over (partition by alias)
),

-- Nearly every name has had one owner, however often that was said.
contested as (
    select alias from best group by alias having min(owner) <> max(owner)
),

spoken as (
    select best.alias, said.available_at_utc, arg_min(best.owner, (best.form_no, best.owner)) as owner
    from best
    semi join contested using (alias)
    inner join {{ said }} as said on best.owner = said.owner and best.number = said.number
    group by best.alias, said.available_at_utc
),

turns as (
    select * from spoken
    qualify owner is distinct from lag(owner) over (partition by alias order by available_at_utc)
),

dated as (
    select
        alias, owner,
        if(row_number() over turn = 1, timestamptz '-infinity', available_at_utc) as from_utc,
        coalesce(lead(available_at_utc) over turn, timestamptz 'infinity') as to_utc
    from turns
    window turn as (partition by alias order by available_at_utc)
    union all
    select alias, min(owner), timestamptz '-infinity', timestamptz 'infinity'
    from best
    anti join contested using (alias)
    group by alias
)
{%- endmacro %}

{# Whether a name or a pack held when a message was written. #}
{% macro held_at(dated, instant='sets.written_at_utc') -%}
{{ dated }}.from_utc <= {{ instant }} and {{ instant }} < {{ dated }}.to_utc
{%- endmacro %}
