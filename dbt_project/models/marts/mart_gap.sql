-- How far each figure is from its standard, in what it is counted in: persons, schools, counties or yuan, rounded up,
-- so that nobody who falls short reads 0; and the year in which it would be met at the present pace.
--
-- Distance: standard × denominator × numerator base ÷ (denominator base × factor) − numerator, in whole numbers; for a
-- ceiling (<=) the reverse. Pace: half of what changed over three consecutive years with full coverage (v2 − v0) ÷ 2;
-- years to go: (standard − v2) × 2 ÷ (v2 − v0), rounded up. No year where the pace leads away, where three such years
-- are not there, or where it would take more than 30: that is no forecast any more.
{% set whole = "(counted != '元' and not is_of_value)" %}
with held as (
    select
        fact.*,
        indicators.sort_order,
        indicators.factor,
        standard.comparison,
        coalesce(indicators.gap_counted, indicators.unit) as counted,
        coalesce(indicators.gap_below, '尚差 #') as below,
        coalesce(indicators.gap_above, '超出 #') as above,
        -- Shapes whose value is no quotient of their sums are so far off as their value is.
        indicators.shape in ('change', 'dispersion', 'quantile', 'mean_of') as is_of_value,
        period.start_year,
        -- Only what is reported once a year has a yearly pace.
        period.period_type in ('school_year', 'calendar_year') as is_year,
        {{ scale_of('indicators.indicator_code') }} as scale,
        case when indicators.shape = 'count' then 1 else fact.denominator_sum end as divisor,
        cast(fact.value * 10000 as {{ whole_type() }}) as value_n,
        cast(fact.standard * 10000 as {{ whole_type() }}) as standard_n
    from {{ ref('fct_indicator') }} as fact
    inner join {{ source('declared', 'indicator') }} as indicators on fact.indicator_code = indicators.indicator_code
    inner join {{ ref('dim_period') }} as period on fact.period = period.period
    inner join {{ ref('int_standard') }} as standard
        on
            fact.indicator_code = standard.indicator_code
            and fact.area_code = standard.area_code
            and cast(period.start_year as string) = standard.calendar_year
    where fact.standard is not null
),

weighed as (
    select
        *,
        case
            when is_of_value then value_n
            else {{ cross_numerator('numerator_sum', 'denominator_base_sum', 'scale') }} * factor * 10000
        end as reached,
        case
            when is_of_value then standard_n
            else standard_n * {{ cross_denominator('numerator_base_sum', 'divisor', 'scale') }}
        end as required,
        -- What a hundredth more of the numerator would add.
        case
            when is_of_value then 100
            else
                {{ whole_quotient('scale', '100') }}
                * {{ hundredths('coalesce(denominator_base_sum, 1)', 'scale') }} * factor * 10000
        end as hundredth
    from held
),

measured as (
    select
        *,
        -- Whole persons, schools and counties; yuan in cents.
        case when {{ whole }} then hundredth * 100 else hundredth end as step,
        case when comparison = '<=' then reached - required else required - reached end as distance,
        case
            when
                status = 'complete'
                and lag(status, 1) over years = 'complete'
                and lag(status, 2) over years = 'complete'
                and lag(start_year, 1) over years = start_year - 1 and lag(start_year, 2) over years = start_year - 2
                then lag(value_n, 2) over years
        end as value_before_n
    from weighed
    window years as (
        partition by indicator_code, caliber_id, area_code, is_year order by start_year, period
    )
),

paced as (
    select
        *,
        case
            when is_standard_met is null then null
            when distance <= 0 then 0
            else cast({{ whole_quotient('distance + step - 1', 'step') }} as decimal(38, 0))
        end as gap_steps,
        case
            when
                is_year
                and not is_standard_met
                and (
                    (comparison = '<=' and value_before_n > value_n) or (comparison = '>=' and value_before_n < value_n)
                )
                then
                    {{ whole_quotient(
                        '2 * abs(standard_n - value_n) + abs(value_n - value_before_n) - 1', 'abs(value_n - value_before_n)'
                    ) }}
        end as years_to_go
    from measured
),

gap as (
    select
        *,
        cast(gap_steps * case when {{ whole }} then 1 else 0.01 end as decimal(38, 2)) as gap
    from paced
),

county as (
    select distinct
        county_code,
        city_code
    from {{ ref('stg_expected_filing') }}
),

-- Over the counties of a city, so that no average hides the one that falls short.
over_counties as (
    select
        gap.indicator_code,
        gap.caliber_id,
        gap.period,
        county.city_code as area_code,
        count(*) filter (where not gap.is_standard_met) as counties_short_n,
        sum(gap.gap) as counties_gap
    from gap
    inner join county on gap.area_code = county.county_code
    group by all
),

said as (
    select
        gap.*,
        over_counties.counties_short_n,
        over_counties.counties_gap,
        case when gap.comparison = '<=' then gap.above else gap.below end as pattern
    from gap
    left join over_counties
        on
            gap.indicator_code = over_counties.indicator_code
            and gap.caliber_id = over_counties.caliber_id
            and gap.period = over_counties.period
            and gap.area_code = over_counties.area_code
)

select
    indicator_code,
    caliber_id,
    period,
    area_code,
    value,
    standard,
    comparison,
    is_standard_met,
    policy_is_sample,
    standard_is_sample,
    gap,
    counted as gap_unit,
    case
        when value is null then '无数据'
        when is_standard_met is null then '数值不合理，不作达标判定'
        when is_standard_met then '已达标'
        else
            replace(
                pattern,
                '#',
                case when is_of_value then {{ plain_number('gap') }} else {{ amount_in_words('gap', 'counted') }} end
            )
    end
    || case
        when is_standard_met is not null and counties_short_n > 0
            then
                '；' || counties_short_n || ' 个县（市、区）未达标，合计'
                || replace(
                    pattern,
                    '#',
                    case
                        when
                            is_of_value
                            then {{ plain_number('counties_gap') }}
                        else {{ amount_in_words('counties_gap', 'counted') }}
                    end
                )
        else ''
    end as gap_wording,
    cast(counties_short_n as integer) as counties_short_n,
    cast(case when is_standard_met is not null then counties_gap end as decimal(38, 2)) as counties_gap,
    cast(value_before_n * 0.0001 as decimal(38, 4)) as value_two_years_before,
    cast(case when years_to_go <= 30 then start_year + years_to_go end as integer) as met_in_year,
    status
from said
order by sort_order, caliber_id, period, area_code
