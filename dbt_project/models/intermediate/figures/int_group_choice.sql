-- What a group of members means for a county on the first day of a part (official ages, stages of a level): what the
-- nearest scope says that has it (the county, its city, its province, the country). The choices of all groups of a
-- term together are a variant of the term.
with grouped as (
    select distinct
        term_filter.term,
        indicator.anchor_return,
        term_filter.dimension,
        term_filter.value as member_group
    from {{ source('declared', 'term_filter') }} as term_filter
    inner join {{ source('declared', 'indicator_term') }} as indicator_term on term_filter.term = indicator_term.term
    inner join {{ source('declared', 'indicator') }} as indicator
        on indicator_term.indicator_code = indicator.indicator_code
    where term_filter.source = 'group'
),

choice as (
    select
        grouped.term,
        grouped.anchor_return,
        grouped.dimension,
        grouped.member_group,
        expected.county_code,
        expected.period as part_period,
        said.scope_code,
        said.valid_from
    from grouped
    inner join {{ ref('stg_expected_filing') }} as expected on grouped.anchor_return = expected.return_code
    inner join (
        select distinct
            dimension,
            member_group,
            scope_code,
            valid_from,
            valid_to
        from {{ source('policy', 'member_groups') }}
    ) as said
        on
            grouped.dimension = said.dimension
            and grouped.member_group = said.member_group
            and said.scope_code in (expected.county_code, expected.city_code, expected.province_code, 'CN')
            and (said.valid_from is null or expected.period_start >= said.valid_from)
            and (said.valid_to is null or expected.period_start < said.valid_to)
    qualify row_number() over (
        partition by
            grouped.term, grouped.anchor_return, grouped.dimension, grouped.member_group, expected.county_code,
            expected.period
        order by
            case said.scope_code
                when expected.county_code then 1
                when expected.city_code then 2
                when expected.province_code then 3
                else 4
            end,
            said.valid_from desc nulls last
    ) = 1
),

named as (
    select
        term,
        anchor_return,
        county_code,
        part_period,
        {{ text_list(
            "dimension || ' ' || member_group || ' ' || scope_code || coalesce(' ' || cast(valid_from as string), '')",
            ',', 'dimension, member_group'
        ) }} as variant
    from choice
    group by term, anchor_return, county_code, part_period
)

select
    choice.*,
    named.variant
from choice
inner join named
    on
        choice.term = named.term
        and choice.anchor_return = named.anchor_return
        and choice.county_code = named.county_code
        and choice.part_period = named.part_period
