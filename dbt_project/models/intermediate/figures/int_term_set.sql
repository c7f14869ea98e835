-- Which members of each dimension a term takes, by caliber: named by itself, by a group of policy or by the caliber.
with used as (
    select distinct
        indicator_term.term,
        indicator.caliber_kind
    from {{ source('declared', 'indicator_term') }} as indicator_term
    inner join {{ source('declared', 'indicator') }} as indicator
        on indicator_term.indicator_code = indicator.indicator_code
),

member_of_caliber as (
    select
        caliber_id,
        dimension,
        member
    from {{ ref('caliber_members') }}
    union all
    select
        caliber_id,
        'pay_component' as dimension,
        component as member
    from {{ ref('pay_components') }}
    where is_included
)

select
    used.term,
    '' as variant,
    calibers.caliber_id,
    filtered.dimension,
    coalesce(grouped.member, member_of_caliber.member, filtered.value) as member
from used
inner join {{ ref('calibers') }} as calibers on used.caliber_kind = calibers.caliber_kind
inner join {{ source('declared', 'term_filter') }} as filtered on used.term = filtered.term
left join {{ source('declared', 'member_group') }} as grouped
    on filtered.source = 'group' and filtered.dimension = grouped.dimension and filtered.value = grouped.group_name
left join member_of_caliber
    on
        filtered.source = 'caliber'
        and calibers.caliber_id = member_of_caliber.caliber_id
        and coalesce(filtered.value, filtered.dimension) = member_of_caliber.dimension
where filtered.source = 'member' or grouped.member is not null or member_of_caliber.member is not null
union all
-- Every term and caliber, be it that nothing is filtered.
select
    used.term,
    '' as variant,
    calibers.caliber_id,
    '' as dimension,
    '' as member
from used
inner join {{ ref('calibers') }} as calibers on used.caliber_kind = calibers.caliber_kind
