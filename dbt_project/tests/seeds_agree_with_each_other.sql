-- A policy table that contradicts another would shift every figure quietly; each row returned names one contradiction.
with component as (
    select unnest({{ pay_components() }}) as name
)

select 'more or fewer than one default caliber: ' || caliber_kind as contradiction
from {{ ref('calibers') }}
group by caliber_kind
having count(*) filter (where is_default) != 1
union all
select 'pay component without a rule in caliber ' || calibers.caliber_id || ': ' || component.name
from {{ ref('calibers') }} as calibers
cross join component
left join {{ ref('pay_components') }} as pay_components
    on calibers.caliber_id = pay_components.caliber_id and component.name = pay_components.component
where calibers.caliber_kind = 'pay' and pay_components.component is null
union all
select 'pay component that no return has: ' || component
from {{ ref('pay_components') }}
where not list_contains({{ pay_components() }}, component)
union all
select 'member of an unknown caliber: ' || caliber_id
from {{ ref('caliber_members') }}
where caliber_id not in (select known.caliber_id from {{ ref('calibers') }} as known)
union all
select 'population caliber without exactly one register: ' || calibers.caliber_id
from {{ ref('calibers') }} as calibers
left join {{ ref('caliber_members') }} as members
    on calibers.caliber_id = members.caliber_id and members.dimension = 'population_register'
where calibers.caliber_kind = 'population'
group by calibers.caliber_id
having count(members.member) != 1
union all
select 'standard of an unknown indicator: ' || indicator_code
from {{ ref('thresholds') }}
where
    indicator_code not in (select known.indicator_code from {{ ref('indicators') }} as known)
    or comparison not in ('>=', '<=')
    or coalesce(judged_at, '') not in ('county', 'municipal')
union all
select 'published figure of an unknown indicator or caliber: ' || indicator_code
from {{ ref('published_figures') }}
where
    indicator_code not in (select known.indicator_code from {{ ref('indicators') }} as known)
    or caliber_id not in (select known.caliber_id from {{ ref('calibers') }} as known)
    or decimals not between 0 and 4
union all
select 'indicator of an unknown stage or kind: ' || indicator_code
from {{ ref('indicators') }}
where
    (stage is not null and stage not in (select known.stage from {{ ref('stages') }} as known))
    or caliber_kind not in (select known.caliber_kind from {{ ref('calibers') }} as known)
    or zero_denominator not in ('error', 'not_applicable')
union all
select 'remoteness rank of a tier differs between rows: ' || programme || ' ' || tier
from {{ ref('subsidy_tiers') }}
group by programme, tier
having count(distinct remoteness_rank) > 1
union all
select 'two standards at one time: ' || one.scope_code || ' ' || one.programme || ' ' || one.tier
from {{ ref('subsidy_tiers') }} as one
inner join {{ ref('subsidy_tiers') }} as other
    on
        one.scope_code = other.scope_code
        and one.programme = other.programme
        and one.tier = other.tier
        and one.valid_from < other.valid_from
        and (one.valid_to is null or one.valid_to > other.valid_from)
union all
select 'exclusive programmes that no standard knows, or a programme and itself: ' || programme_a || ' ' || programme_b
from {{ ref('exclusive_programmes') }}
where
    programme_a = programme_b
    or programme_a not in (select known.programme from {{ ref('subsidy_tiers') }} as known)
    or programme_b not in (select known.programme from {{ ref('subsidy_tiers') }} as known)
union all
select 'two hardship categories at one time: ' || one.county_code
from {{ ref('hardship_categories') }} as one
inner join {{ ref('hardship_categories') }} as other
    on
        one.county_code = other.county_code
        and one.valid_from < other.valid_from
        and (one.valid_to is null or one.valid_to > other.valid_from)
