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
        {% endfor %}
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
)

select
    period,
    area_code,
    stage,
    caliber_id,
    cast(gross_numerator as bigint) as enrolled_n,
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
    gross_standard as gross_standard_percent,
    {{ persons_short('gross_numerator', 'gross_denominator', 'gross_standard') }} as gross_gap_persons,
    net_standard as net_standard_percent,
    {{ persons_short('net_numerator', 'net_denominator', 'net_standard') }} as net_gap_persons,
    population_vintage_on,
    population_source,
    formula
from pivoted
order by period, area_code, stage, caliber_id
