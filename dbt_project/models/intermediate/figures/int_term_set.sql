-- Which members of each dimension a term takes, by caliber: named by itself, by a group of policy or by the caliber.
-- Groups may say something else for a county or a time: each such choice is a variant of the term (int_term_variant).
with used as (
    select distinct
        indicator_term.term,
        coalesce(indicator.caliber_kind, 'as_reported') as caliber_kind
    from {{ source('declared', 'indicator_term') }} as indicator_term
    inner join {{ source('declared', 'indicator') }} as indicator
        on indicator_term.indicator_code = indicator.indicator_code
),

member_of_caliber as (
    select
        caliber_id,
        dimension,
        member
    from {{ source('policy', 'caliber_members') }}
    union all
    select
        caliber_id,
        'pay_component' as dimension,
        component as member
    from {{ source('policy', 'pay_components') }}
    where is_included
),

-- A term of groups has the variants that arise somewhere, any other the one.
variant as (
    select distinct
        term,
        variant
    from {{ ref('int_term_variant') }}
    union distinct
    select
        used.term,
        '' as variant
    from used
    where used.term not in (select varied.term from {{ ref('int_term_variant') }} as varied)
),

filtered as (
    select
        term_filter.term,
        variant.variant,
        term_filter.dimension,
        term_filter.source,
        term_filter.value
    from {{ source('declared', 'term_filter') }} as term_filter
    inner join variant on term_filter.term = variant.term
),

member_of_group as (
    select distinct
        varied.term,
        varied.variant,
        varied.dimension,
        groups.member
    from (
        select distinct
            term,
            variant,
            dimension,
            member_group,
            scope_code,
            valid_from
        from {{ ref('int_group_choice') }}
    ) as varied
    inner join {{ source('policy', 'member_groups') }} as groups
        on
            varied.dimension = groups.dimension
            and varied.member_group = groups.member_group
            and varied.scope_code = groups.scope_code
            and varied.valid_from is not distinct from groups.valid_from
)

select
    used.term,
    filtered.variant,
    calibers.caliber_id,
    filtered.dimension,
    coalesce(member_of_group.member, member_of_caliber.member, filtered.value) as member
from used
inner join {{ ref('int_caliber') }} as calibers on used.caliber_kind = calibers.caliber_kind
inner join filtered on used.term = filtered.term
left join member_of_group
    on
        filtered.source = 'group'
        and filtered.term = member_of_group.term
        and filtered.variant = member_of_group.variant
        and filtered.dimension = member_of_group.dimension
left join member_of_caliber
    on
        filtered.source = 'caliber'
        and calibers.caliber_id = member_of_caliber.caliber_id
        and coalesce(filtered.value, filtered.dimension) = member_of_caliber.dimension
where filtered.source = 'member' or member_of_group.member is not null or member_of_caliber.member is not null
union all
-- Every term, variant and caliber, be it that nothing is filtered.
select
    used.term,
    variant.variant,
    calibers.caliber_id,
    '' as dimension,
    '' as member
from used
inner join {{ ref('int_caliber') }} as calibers on used.caliber_kind = calibers.caliber_kind
inner join variant on used.term = variant.term
