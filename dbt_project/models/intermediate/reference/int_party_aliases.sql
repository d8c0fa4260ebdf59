-- Every name under which a message may call a site or a supplier of the master, by stretch of the time in which messages were written: its
-- id, and each GLN it ever had. Sites go before suppliers.
with

parties as (
    select site_id as party_id, site_gln as number, true as is_site, available_at_utc from {{ ref('stg_master__sites') }}
    union all
    select supplier_id, supplier_gln, false, available_at_utc from {{ ref('stg_master__suppliers') }}
),

-- A site and a supplier may have one id.
said as (
    select concat(if(is_site, 'site ', 'supplier '), party_id) as owner, number, available_at_utc
    from parties
    where number is not null
),

claims as (
    select distinct
        party_id as alias, concat(if(is_site, 'site ', 'supplier '), party_id) as owner, if(is_site, 0, 2) as class_no, 0 as form_no, party_id as number
    from parties
    union all
    select distinct
        number, concat(if(is_site, 'site ', 'supplier '), party_id), if(is_site, 1, 3), 0, number
    from parties
    where number is not null
),

{{ dated_names('claims', 'said') }}

select
    alias, regexp_replace(owner, '^(site|supplier) ', '') as party_id, owner like 'site %' as is_site, from_utc, to_utc
from dated
