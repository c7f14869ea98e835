-- Enrolment by stage, read from fct_indicator: gross and net rate, both sexes, parity, and how many pupils the
-- standard is short of. No rate is computed here, so this table and fct_indicator cannot differ.
with declared as (
    select
        indicator.indicator_code,
        subject.member as stage,
        case indicator.template
            when 'gross_enrolment_$key' then 'gross'
            when 'net_enrolment_$key' then 'net'
            when 'gross_enrolment_${key}_female' then 'gross_female'
            when 'gross_enrolment_${key}_male' then 'gross_male'
            when 'gender_parity_$key' then 'gender_parity'
        end as measure
    from {{ source('declared', 'indicator') }} as indicator
    inner join {{ source('declared', 'indicator_subject') }} as subject
        on indicator.indicator_code = subject.indicator_code and subject.dimension = 'stage'
),

measure as (
    select
        fact.*,
        declared.stage,
        declared.measure
    from {{ ref('fct_indicator') }} as fact
    inner join declared on fact.indicator_code = declared.indicator_code
    where declared.measure is not null
),

-- Children under 3 in the stage, whom the gross rate subtracts, over the counties whose pupils are in it; where no
-- county has one, over those whose pupils are shown as the reason why there is none.
county_under_3 as (
    select
        part.caliber_id,
        part.period,
        part.county_code,
        part.city_code,
        declared.stage,
        bool_and(part.is_covered) as is_covered,
        case
            when bool_and(role_term.value is not null)
                then sum(case when role_term.sign < 0 then -role_term.value else 0 end)
        end as under_3_n
    from {{ ref('int_part_0') }} as part
    inner join declared on part.indicator_code = declared.indicator_code and declared.measure = 'gross'
    inner join {{ ref('int_role_term') }} as role_term
        on
            part.indicator_code = role_term.indicator_code
            and part.caliber_id = role_term.caliber_id
            and part.county_code = role_term.county_code
            and part.part_period = role_term.part_period
            and role_term.role = 'numerator'
    group by part.caliber_id, part.period, part.county_code, part.city_code, declared.stage
),

under_3 as (
    select
        county_under_3.caliber_id,
        county_under_3.period,
        county_under_3.stage,
        county_under_3.is_covered,
        county_under_3.under_3_n,
        case when area_level.is_city then county_under_3.city_code else county_under_3.county_code end as area_code
    from county_under_3
    cross join (values (false), (true)) as area_level (is_city)
),

area_under_3 as (
    select
        caliber_id,
        period,
        stage,
        area_code,
        coalesce(sum(under_3_n) filter (where is_covered), sum(under_3_n)) as under_3_n
    from under_3
    group by caliber_id, period, stage, area_code
),

pivoted as (
    select
        period,
        area_code,
        stage,
        caliber_id,
        {% set measures = ['gross', 'net', 'gross_female', 'gross_male', 'gender_parity'] %}
        {% for name in measures %}
            max(numerator_sum) filter (where measure = '{{ name }}') as {{ name }}_numerator,
            max(denominator_sum) filter (where measure = '{{ name }}') as {{ name }}_denominator,
            max(value) filter (where measure = '{{ name }}') as {{ name }}_value,
            max(standard) filter (where measure = '{{ name }}') as {{ name }}_standard,
            max(status) filter (where measure = '{{ name }}') as {{ name }}_status,
            max(standard_is_sample) filter (where measure = '{{ name }}') as {{ name }}_standard_is_sample,
        {% endfor %}
        bool_or(policy_is_sample) as policy_is_sample,
        max(formula) filter (where measure = 'gross') as formula,
        max(population_vintage_on) filter (where measure = 'gross') as population_vintage_on,
        max(population_source) filter (where measure = 'gross') as population_source,
        max(coverage_n) filter (where measure = 'gross') as coverage_n,
        max(expected_n) filter (where measure = 'gross') as expected_n,
        max(missing_areas) filter (where measure = 'gross') as missing_areas,
        max(coverage_n) filter (where measure = 'gender_parity') as sex_coverage_n,
        max(missing_areas) filter (where measure = 'gender_parity') as sex_missing_areas
    from measure
    group by period, area_code, stage, caliber_id
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
