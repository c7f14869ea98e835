-- Whether each unit meets the standard of its indicator: of the nearest scope, one for units of its kind before one
-- for all. Judged on whole numbers; a unit over nobody (denominator 0) is not judged. An indicator of several
-- (`meets`) is met by a unit that meets all, or so many of them and of the others a share of their standard.
with unit_year as (
    select
        unit.*,
        indicator.anchor_return,
        indicator.per,
        indicator.side_factor,
        expected.calendar_year,
        expected.city_code,
        expected.province_code
    from {{ ref('int_unit') }} as unit
    inner join {{ source('declared', 'indicator') }} as indicator
        on unit.indicator_code = indicator.indicator_code and indicator.shape = 'share_of_units'
    inner join {{ ref('stg_expected_filing') }} as expected
        on
            indicator.anchor_return = expected.return_code
            and unit.county_code = expected.county_code
            and unit.part_period = expected.period
),

-- Which kind a unit is of, by the dimension that a standard names.
kind as (
    select distinct
        return_code,
        signature as unit_dimension,
        county_code,
        period,
        unit,
        split_part(atom, '|', 2) as unit_member
    from {{ ref('int_atom') }}
    where atom_column = return_code || '.*' and unit != ''
),

standard as (
    select
        unit_year.*,
        standards.value as standard,
        standards.comparison
    from unit_year
    inner join {{ source('policy', 'standards') }} as standards
        on
            standards.level = 'unit'
            and unit_year.indicator_code = standards.indicator_code
            and standards.scope_code in (
                unit_year.county_code, unit_year.city_code, unit_year.province_code, 'CN'
            )
            and cast(unit_year.calendar_year as integer) >= standards.year_from
            and (standards.year_to is null or cast(unit_year.calendar_year as integer) <= standards.year_to)
    left join kind
        on
            unit_year.anchor_return = kind.return_code
            and standards.unit_dimension = kind.unit_dimension
            and standards.unit_member = kind.unit_member
            and unit_year.county_code = kind.county_code
            and unit_year.part_period = kind.period
            and unit_year.unit = kind.unit
    where coalesce(standards.unit_dimension, '') = '' or kind.unit is not null
    qualify row_number() over (
        partition by
            unit_year.indicator_code, unit_year.caliber_id, unit_year.county_code, unit_year.part_period, unit_year.unit
        order by
            case when kind.unit is not null then 1 else 2 end,
            case standards.scope_code
                when unit_year.county_code then 1 when unit_year.city_code then 2 when unit_year.province_code then 3
                else 4
            end,
            standards.year_from desc
    ) = 1
),

weighed as (
    select
        *,
        {{ hundredths('numerator', 1000000) }} * coalesce(side_factor, 1) * 10000 as reached,
        cast(standard * 10000 as {{ whole_type() }}) * {{ hundredths('coalesce(denominator, 1)', 1000000) }} as required
    from standard
),

simple as (
    select
        indicator_code,
        caliber_id,
        county_code,
        part_period,
        unit,
        case
            when not is_known then null
            when coalesce(denominator, 1) <= 0 then null
            when comparison = '<=' then reached <= required
            else reached >= required
        end as is_met,
        is_known,
        coalesce(denominator, 1) <= 0 as is_excluded,
        comparison,
        reached,
        required
    from weighed
),

several as (
    select
        made.indicator_code,
        simple.caliber_id,
        simple.county_code,
        simple.part_period,
        simple.unit,
        bool_and(simple.is_known) as is_known,
        bool_or(simple.is_excluded) as is_excluded,
        count(*) filter (where simple.is_met) as met_n,
        count(*) as judged_n,
        max(wanted.wanted_n) as wanted_n,
        max(indicator.at_least) as at_least,
        bool_and(
            coalesce(simple.is_met, false)
            or (
                simple.comparison = '>='
                and simple.reached * 10000
                >= simple.required * cast(indicator.others_share * 10000 as {{ whole_type() }})
            )
        ) as others_are_near
    from {{ source('declared', 'indicator_of') }} as made
    inner join {{ source('declared', 'indicator') }} as indicator
        on made.indicator_code = indicator.indicator_code and indicator.shape = 'share_of_units'
    inner join simple on made.of_code = simple.indicator_code
    inner join (
        select
            indicator_code,
            count(*) as wanted_n
        from {{ source('declared', 'indicator_of') }}
        where relation = 'meets'
        group by indicator_code
    ) as wanted on made.indicator_code = wanted.indicator_code
    where made.relation = 'meets'
    group by made.indicator_code, simple.caliber_id, simple.county_code, simple.part_period, simple.unit
)

select
    indicator_code,
    caliber_id,
    county_code,
    part_period,
    unit,
    is_known,
    is_excluded,
    is_met
from simple
union all
select
    indicator_code,
    caliber_id,
    county_code,
    part_period,
    unit,
    is_known and judged_n = wanted_n as is_known,
    is_excluded,
    case
        when is_excluded or not is_known or judged_n < wanted_n then null
        when at_least is null then met_n = wanted_n
        else met_n >= at_least and coalesce(others_are_near, true)
    end as is_met
from several
