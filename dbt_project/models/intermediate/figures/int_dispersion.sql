-- Coefficients of variation over the units of each county: S ÷ X̄ with X = x ÷ P of each unit, X̄ = Σx ÷ ΣP and S² = Σ
-- (P ÷ ΣP) × (X − X̄)², or, where units weigh the same, S² = Σ (X − X̄)² ÷ n over the mean of X. Units over nobody (P
-- = 0) are left out. Six decimals; of the city there is none.
with indicator as (
    select
        indicator.indicator_code,
        calibers.caliber_id,
        case
            when indicator.weighting = 'caliber' then coalesce(member.member, 'units')
            else coalesce(indicator.weighting, 'units')
        end as weighting
    from {{ source('declared', 'indicator') }} as indicator
    inner join {{ ref('int_caliber') }} as calibers
        on coalesce(indicator.caliber_kind, 'as_reported') = calibers.caliber_kind
    left join {{ source('policy', 'caliber_members') }} as member
        on calibers.caliber_id = member.caliber_id and member.dimension = 'weighting'
    where indicator.shape = 'dispersion'
),

counted as (
    select
        unit.*,
        indicator.weighting,
        cast(cast(unit.numerator as double) / cast(unit.denominator as double) as decimal(38, 12)) as each
    from {{ ref('int_unit') }} as unit
    inner join indicator
        on unit.indicator_code = indicator.indicator_code and unit.caliber_id = indicator.caliber_id
    where unit.is_known and unit.denominator > 0
),

mean as (
    select
        indicator_code,
        caliber_id,
        county_code,
        part_period,
        max(weighting) as weighting,
        count(*) as units_n,
        sum(numerator) as numerator_sum,
        sum(denominator) as denominator_sum,
        cast(
            case
                when max(weighting) = 'equal' then cast(sum(each) as double) / count(*)
                else cast(sum(numerator) as double) / cast(sum(denominator) as double)
            end as decimal(38, 12)
        ) as mean
    from counted
    group by indicator_code, caliber_id, county_code, part_period
),

-- Squares are summed as decimals: neither order nor threads may move the last digit.
spread as (
    select
        mean.indicator_code,
        mean.caliber_id,
        mean.county_code,
        mean.part_period,
        sum(cast(
            case when mean.weighting = 'equal' then 1 else cast(counted.denominator as double) end
            * cast(counted.each - mean.mean as double) * cast(counted.each - mean.mean as double) as decimal(38, 12)
        )) as squares,
        max(case when mean.weighting = 'equal' then mean.units_n else mean.denominator_sum end) as weights
    from mean
    inner join counted
        on
            mean.indicator_code = counted.indicator_code
            and mean.caliber_id = counted.caliber_id
            and mean.county_code = counted.county_code
            and mean.part_period = counted.part_period
    group by mean.indicator_code, mean.caliber_id, mean.county_code, mean.part_period
),

left_out as (
    select
        indicator_code,
        caliber_id,
        county_code,
        part_period,
        count(*) filter (where not is_known) as unknown_n,
        count(*) filter (where is_known and denominator <= 0) as empty_n,
        {{ text_list('unit', '、', 'unit', 'is_known and denominator <= 0') }} as empty_units
    from {{ ref('int_unit') }}
    group by indicator_code, caliber_id, county_code, part_period
),

of_county as (
    select
        expected.indicator_code,
        expected.caliber_id,
        expected.period,
        expected.county_code,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.calendar_year,
        mean.units_n,
        cast(mean.numerator_sum as {{ sum_type() }}) as numerator_sum,
        cast(mean.denominator_sum as {{ sum_type() }}) as denominator_sum,
        mean.mean,
        cast(sqrt(cast(spread.squares as double) / cast(spread.weights as double)) as decimal(38, 12)) as deviation,
        left_out.indicator_code is not null and left_out.unknown_n = 0 as is_covered,
        coalesce(left_out.empty_n, 0) as empty_n,
        left_out.empty_units
    from {{ ref('int_expected_figure') }} as expected
    inner join indicator
        on expected.indicator_code = indicator.indicator_code and expected.caliber_id = indicator.caliber_id
    left join left_out
        on
            expected.indicator_code = left_out.indicator_code
            and expected.caliber_id = left_out.caliber_id
            and expected.county_code = left_out.county_code
            and expected.part_period = left_out.part_period
    left join mean
        on
            expected.indicator_code = mean.indicator_code
            and expected.caliber_id = mean.caliber_id
            and expected.county_code = mean.county_code
            and expected.part_period = mean.part_period
    left join spread
        on
            expected.indicator_code = spread.indicator_code
            and expected.caliber_id = spread.caliber_id
            and expected.county_code = spread.county_code
            and expected.part_period = spread.part_period
    where not expected.is_year
),

source_of_county as (
    select
        role_source.indicator_code,
        role_source.caliber_id,
        role_source.county_code,
        role_source.part_period,
        max(role_source.submission_id) as submission_id,
        max(role_source.received_at) as known_at,
        bool_and(role_source.is_settled) as is_settled,
        bool_or(role_source.is_revised) as is_revised
    from {{ ref('int_role_source') }} as role_source
    group by role_source.indicator_code, role_source.caliber_id, role_source.county_code, role_source.part_period
),

given as (
    select
        of_county.indicator_code,
        of_county.caliber_id,
        of_county.period,
        of_county.county_code as area_code,
        false as is_city,
        of_county.city_code,
        of_county.calendar_year,
        cast(of_county.is_covered as integer) as coverage_n,
        1 as expected_n,
        case when not of_county.is_covered then of_county.county_name end as missing_areas,
        '' as county_lacking,
        case
            when of_county.is_covered and (of_county.units_n is null or of_county.mean = 0) then 'undefined'
        end as own_status,
        of_county.numerator_sum,
        of_county.denominator_sum,
        cast(
            case
                when of_county.mean > 0 then cast(of_county.deviation as double) / cast(of_county.mean as double)
            end as {{ sum_type() }}
        ) as exact_given,
        {{ plain_number('cast(of_county.deviation as decimal(38, 6))') }} || ' ÷ '
        || {{ plain_number('cast(of_county.mean as decimal(38, 6))') }}
        || case
            when of_county.empty_n > 0 then '（' || of_county.empty_n || ' 个分母为 0 的不计入：' || of_county.empty_units || '）'
            else ''
        end as worked,
        source.submission_id as numerator_submission_id,
        source.submission_id as denominator_submission_id,
        source.known_at,
        source.is_settled,
        source.is_revised
    from of_county
    left join source_of_county as source
        on
            of_county.indicator_code = source.indicator_code
            and of_county.caliber_id = source.caliber_id
            and of_county.county_code = source.county_code
            and of_county.period = source.part_period
    union all
    select
        indicator_code,
        caliber_id,
        period,
        city_code as area_code,
        true as is_city,
        city_code,
        max(calendar_year) as calendar_year,
        count(*) filter (where is_covered) as coverage_n,
        count(*) as expected_n,
        {{ text_list('county_name', '、', 'sort_order, county_code', 'not is_covered') }} as missing_areas,
        '' as county_lacking,
        'not_rolled_up' as own_status,
        null as numerator_sum,
        null as denominator_sum,
        null as exact_given,
        null as worked,
        null as numerator_submission_id,
        null as denominator_submission_id,
        null as known_at,
        false as is_settled,
        false as is_revised
    from of_county
    group by indicator_code, caliber_id, period, city_code
),

{{ figures_by_value() }}
