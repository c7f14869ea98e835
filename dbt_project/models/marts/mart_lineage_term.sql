-- Of which terms each figure is the sum: indicator, caliber and period on one side, and on the other the name of a
-- term that cells carry in mart_lineage_cell, with its sign. No number stands here, and a county only where the term
-- takes other members for it than for others (official ages), so that it stays small.
--
-- A term reads return.column|member|member. An indicator of indicators has the term indicator.<code> and no cells.
with role_term as (
    select distinct
        indicator_code,
        caliber_id,
        county_code,
        part_period,
        role,
        term,
        variant,
        sign,
        asked_period
    from {{ ref('int_role_term') }}
    where role not in ('needs', 'exists')
    union distinct
    -- Of what is judged unit by unit, the cells of the units.
    select distinct
        expected.indicator_code,
        expected.caliber_id,
        expected.county_code,
        expected.part_period,
        indicator_term.role,
        indicator_term.term,
        coalesce(varied.variant, '') as variant,
        indicator_term.sign,
        source.asked_period
    from {{ ref('int_expected_figure') }} as expected
    inner join {{ source('declared', 'indicator') }} as indicator
        on expected.indicator_code = indicator.indicator_code and indicator.per is not null
    inner join {{ source('declared', 'indicator_term') }} as indicator_term
        on
            expected.indicator_code = indicator_term.indicator_code
            and indicator_term.role not in ('needs', 'exists')
    inner join {{ source('declared', 'term') }} as term on indicator_term.term = term.term
    inner join {{ ref('int_source') }} as source
        on
            expected.anchor_return = source.anchor_return
            and expected.part_period = source.part_period
            and expected.county_code = source.county_code
            and term.return_code = source.return_code
            and coalesce(term.period_relation, '') = source.period_relation
    left join {{ ref('int_term_variant') }} as varied
        on
            term.term = varied.term
            and expected.anchor_return = varied.anchor_return
            and expected.county_code = varied.county_code
            and expected.part_period = varied.part_period
    where not expected.is_year
),

variety as (
    select
        term,
        caliber_id,
        part_period,
        count(distinct variant) as variants_n
    from role_term
    group by term, caliber_id, part_period
),

of_terms as (
    select distinct
        role_term.indicator_code,
        role_term.caliber_id,
        part.period,
        role_term.part_period,
        role_term.role,
        term_atom.atom as term,
        role_term.asked_period as source_period,
        role_term.sign,
        case when variety.variants_n > 1 then role_term.county_code end as county_code
    from role_term
    inner join variety
        on
            role_term.term = variety.term
            and role_term.caliber_id = variety.caliber_id
            and role_term.part_period = variety.part_period
    inner join (
        select distinct
            indicator_code,
            caliber_id,
            county_code,
            part_period,
            period
        from {{ ref('int_expected_figure') }}
    ) as part
        on
            role_term.indicator_code = part.indicator_code
            and role_term.caliber_id = part.caliber_id
            and role_term.county_code = part.county_code
            and role_term.part_period = part.part_period
    inner join {{ ref('int_term_atom') }} as term_atom
        on
            role_term.term = term_atom.term
            and role_term.variant = term_atom.variant
            and role_term.caliber_id = term_atom.caliber_id
            and not term_atom.is_unknown
),

of_figures as (
    select distinct
        indicator_code,
        caliber_id,
        period,
        period as part_period,
        'numerator' as role,
        'indicator.' || of_code as term,
        of_period as source_period,
        1 as sign,
        cast(null as string) as county_code
    from {{ ref('int_made_of') }}
    union all
    select distinct
        indicator_code,
        caliber_id,
        period,
        period as part_period,
        'denominator' as role,
        'indicator.' || of_code as term,
        case when shape = 'change' then base_period else of_period end as source_period,
        1 as sign,
        cast(null as string) as county_code
    from {{ ref('int_made_of') }}
)

select
    indicator_code,
    caliber_id,
    period,
    part_period,
    role,
    term,
    source_period,
    cast(sign as integer) as sign,
    county_code
from of_terms
union all
select
    indicator_code,
    caliber_id,
    period,
    part_period,
    role,
    term,
    source_period,
    sign,
    county_code
from of_figures
order by indicator_code, caliber_id, period, part_period, role, term, county_code nulls first
