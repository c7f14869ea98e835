-- Enrolment by stage, read from fct_indicator: gross and net rate, both sexes, parity, and how many pupils the
-- standard is short of. No rate is computed here, so this table and fct_indicator cannot differ.
with measure as (
    select
        fact.*,
        indicators.stage,
        indicators.measure
    from {{ ref('fct_indicator') }} as fact
    inner join {{ ref('indicators') }} as indicators on fact.indicator_code = indicators.indicator_code
    where indicators.return_code = 'enrolment'
),

-- Children under 3 in the stage, over the counties whose pupils are in the gross rate; where no county has one, over
-- those whose pupils are shown as the reason why there is none.
county_under_3 as (
    select
        term.caliber_id,
        term.period,
        term.county_code,
        term.city_code,
        term.is_covered,
        enrolment.stage,
        enrolment.under_3_n
    from {{ ref('int_indicator_term') }} as term
    inner join {{ ref('indicators') }} as indicators
        on term.indicator_code = indicators.indicator_code and indicators.measure = 'gross'
    inner join {{ ref('int_enrolment_county') }} as enrolment
        on
            term.county_code = enrolment.county_code
            and term.period = enrolment.period
            and indicators.stage = enrolment.stage
),

under_3 as (
    select
        caliber_id,
        period,
        stage,
        is_covered,
        under_3_n,
        unnest([county_code, city_code]) as area_code
    from county_under_3
),

area_under_3 as (
    select
        caliber_id,
        period,
        stage,
        area_code,
        coalesce(sum(under_3_n) filter (where is_covered), sum(under_3_n)) as under_3_n
    from under_3
    group by all
),

pivoted as (
    select
        period,
        area_code,
        stage,
        caliber_id,
        {% set measures = ['gross', 'net', 'gross_female', 'gross_male', 'gender_parity'] %}
        {% for name in measures %}
            any_value(numerator_sum) filter (where measure = '{{ name }}') as {{ name }}_numerator,
            any_value(denominator_sum) filter (where measure = '{{ name }}') as {{ name }}_denominator,
            any_value(value) filter (where measure = '{{ name }}') as {{ name }}_value,
            any_value(standard) filter (where measure = '{{ name }}') as {{ name }}_standard,
            any_value(status) filter (where measure = '{{ name }}') as {{ name }}_status,
            any_value(standard_is_sample) filter (where measure = '{{ name }}') as {{ name }}_standard_is_sample,
        {% endfor %}
        bool_or(policy_is_sample) as policy_is_sample,
        any_value(formula) filter (where measure = 'gross') as formula,
        any_value(population_vintage_on) filter (where measure = 'gross') as population_vintage_on,
        any_value(population_source) filter (where measure = 'gross') as population_source,
        any_value(coverage_n) filter (where measure = 'gross') as coverage_n,
        any_value(expected_n) filter (where measure = 'gross') as expected_n,
        any_value(missing_areas) filter (where measure = 'gross') as missing_areas,
        any_value(coverage_n) filter (where measure = 'gender_parity') as sex_coverage_n,
        any_value(missing_areas) filter (where measure = 'gender_parity') as sex_missing_areas
    from measure
    group by all
),

completed as (
    select
        pivoted.*,
        area_under_3.under_3_n
    from pivoted
    left join area_under_3
        on
            pivoted.caliber_id = area_under_3.caliber_id
            and pivoted.period = area_under_3.period
            and pivoted.stage = area_under_3.stage
            and pivoted.area_code = area_under_3.area_code
)

select
    period,
    area_code,
    stage,
    caliber_id,
    cast(gross_numerator as bigint) as enrolled_n,
    cast(case when gross_numerator is not null then under_3_n end as bigint) as enrolled_under_3_n,
    cast(gross_denominator as bigint) as official_age_population_n,
    gross_value as gross_rate_percent,
    cast(net_numerator as bigint) as official_age_enrolled_n,
    net_value as net_rate_percent,
    net_status,
    cast(gross_female_numerator as bigint) as enrolled_female_n,
    cast(gross_female_denominator as bigint) as official_age_population_female_n,
    gross_female_value as gross_rate_female_percent,
    cast(gross_male_numerator as bigint) as enrolled_male_n,
    cast(gross_male_denominator as bigint) as official_age_population_male_n,
    gross_male_value as gross_rate_male_percent,
    gender_parity_value as gender_parity_index,
    sex_coverage_n,
    sex_missing_areas,
    gender_parity_status as sex_status,
    coverage_n,
    expected_n,
    missing_areas,
    gross_status as status,
    policy_is_sample,
    gross_standard as gross_standard_percent,
    gross_standard_is_sample,
    case
        when gross_value is not null
            then {{ persons_short('gross_numerator', 'gross_denominator', 'gross_standard') }}
    end as gross_gap_persons,
    net_standard as net_standard_percent,
    net_standard_is_sample,
    -- What cannot be is not judged, as in mart_gap.
    case
        when net_value is not null and net_status != 'implausible'
            then {{ persons_short('net_numerator', 'net_denominator', 'net_standard') }}
    end as net_gap_persons,
    population_vintage_on,
    population_source,
    formula
from completed
order by period, area_code, stage, caliber_id
