-- What each county contributes to each indicator: a row for every expected part, with both terms or without them.
--
-- Every indicator is (numerator ÷ numerator base) ÷ (denominator ÷ denominator base) × factor; a base of null means
-- "not divided". Bases are there for ratios of averages, so that the roll-up can sum each of the four terms.
-- A part is a county's filing of one period; the figures of a calendar year are made of its quarters or months.
with indicator as (
    select
        indicators.indicator_code,
        indicators.return_code,
        indicators.stage,
        indicators.measure,
        indicators.programme,
        calibers.caliber_id,
        calibers.valid_from,
        calibers.valid_to,
        caliber_members.member as register
    from {{ ref('indicators') }} as indicators
    inner join {{ ref('calibers') }} as calibers on indicators.caliber_kind = calibers.caliber_kind
    left join {{ ref('caliber_members') }} as caliber_members
        on calibers.caliber_id = caliber_members.caliber_id and caliber_members.dimension = 'population_register'
),

expected_part as (
    select
        indicator.*,
        expected.county_code,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.period as part_period,
        expected.calendar_year,
        expected.period_type,
        expected.is_year_spanned,
        expected.is_year_spanned_by_all,
        expected.reference_on,
        expected.school_year
    from {{ ref('stg_expected_filing') }} as expected
    inner join indicator
        on
            expected.return_code = indicator.return_code
            and expected.period_start >= indicator.valid_from
            and (indicator.valid_to is null or expected.period_start < indicator.valid_to)
),

-- School year 2024-2025, as of 1 September 2024, stands against the people of calendar year 2024.
enrolment_part as (
    select
        expected_part.*,
        case expected_part.measure
            when 'gross' then enrolment.enrolled_n
            when 'net' then enrolment.of_age_n
            when 'gross_male' then enrolment.male_n
            else enrolment.female_n
        end as numerator,
        case when expected_part.measure = 'gender_parity' then population.female_n end as numerator_base,
        case expected_part.measure
            when 'gender_parity' then enrolment.male_n
            when 'gross_female' then population.female_n
            when 'gross_male' then population.male_n
            else population.population_n
        end as denominator,
        case when expected_part.measure = 'gender_parity' then population.male_n end as denominator_base,
        enrolment.submission_id as numerator_submission_id,
        population.submission_id as denominator_submission_id,
        greatest(enrolment.received_at, population.received_at) as known_at,
        population.vintage_from as population_vintage_from,
        population.vintage_to as population_vintage_to,
        population.source as population_source,
        'enrolment' as numerator_return,
        expected_part.part_period as numerator_period,
        'population' as denominator_return,
        expected_part.calendar_year as denominator_period
    from expected_part
    left join {{ ref('int_enrolment_county') }} as enrolment
        on
            expected_part.county_code = enrolment.county_code
            and expected_part.part_period = enrolment.period
            and expected_part.stage = enrolment.stage
    left join {{ ref('int_population_county') }} as population
        on
            expected_part.county_code = population.county_code
            and expected_part.calendar_year = population.period
            and expected_part.stage = population.stage
            and expected_part.register = population.register
    where expected_part.return_code = 'enrolment'
),

pay_part as (
    select
        expected_part.*,
        case expected_part.measure
            when 'civil_servant_average' then pay.civil_servant_pay_yuan
            when 'compliant_counties'
                -- Judged on the unrounded terms: 0.99996 does not meet 1, though it prints as 1.0000.
                then cast({{ meets_standard(
                    cross_numerator('pay.teacher_pay_yuan', 'pay.civil_servants'),
                    cross_denominator('pay.teachers', 'pay.civil_servant_pay_yuan'),
                    'parity.standard', 'parity.comparison'
                ) }} as integer)
            else pay.teacher_pay_yuan
        end as numerator,
        case when expected_part.measure = 'ratio' then pay.teachers end as numerator_base,
        case expected_part.measure
            when 'ratio' then pay.civil_servant_pay_yuan
            when 'teacher_average' then pay.teachers
            when 'civil_servant_average' then pay.civil_servants
            -- Nobody on one side: there is nothing to judge.
            when 'compliant_counties' then case when pay.teachers > 0 and pay.civil_servants > 0 then 1 end
        end as denominator,
        case when expected_part.measure = 'ratio' then pay.civil_servants end as denominator_base,
        case
            when expected_part.measure = 'civil_servant_average' then pay.civil_servant_submission_id
            else pay.teacher_submission_id
        end as numerator_submission_id,
        case
            when expected_part.measure = 'teacher_average' then pay.teacher_submission_id
            else pay.civil_servant_submission_id
        end as denominator_submission_id,
        case expected_part.measure
            when 'teacher_average' then pay.teacher_received_at
            when 'civil_servant_average' then pay.civil_servant_received_at
            else greatest(pay.teacher_received_at, pay.civil_servant_received_at)
        end as known_at,
        cast(null as date) as population_vintage_from,
        cast(null as date) as population_vintage_to,
        cast(null as varchar) as population_source,
        case expected_part.measure when 'civil_servant_average' then 'civil_servant_pay' else 'teacher_pay' end
            as numerator_return,
        expected_part.part_period as numerator_period,
        case expected_part.measure when 'teacher_average' then 'teacher_pay' else 'civil_servant_pay' end
            as denominator_return,
        expected_part.part_period as denominator_period
    from expected_part
    left join {{ ref('int_pay_county') }} as pay
        on
            expected_part.county_code = pay.county_code
            and expected_part.part_period = pay.period
            and expected_part.caliber_id = pay.caliber_id
    left join {{ ref('int_standard') }} as parity
        on
            parity.indicator_code = 'teacher_pay_ratio'
            and expected_part.county_code = parity.area_code
            and expected_part.calendar_year = parity.calendar_year
    where expected_part.return_code in ('teacher_pay', 'civil_servant_pay')
),

subsidy_part as (
    select
        expected_part.*,
        case expected_part.measure
            when 'teacher_coverage' then subsidy.teachers_paid_n
            when 'school_coverage' then subsidy.rural_schools_covered_n
            else subsidy.paid_yuan
        end as numerator,
        null as numerator_base,
        case expected_part.measure
            when 'paid_share' then subsidy.due_yuan
            when 'teacher_coverage' then subsidy.teachers_entitled_n
            when 'school_coverage' then subsidy.rural_schools_n
            when 'monthly_average' then subsidy.paid_teacher_months_n
        end as denominator,
        null as denominator_base,
        subsidy.submission_id as numerator_submission_id,
        -- The rural schools stand in the register, not in the subsidy return.
        case expected_part.measure
            when 'school_coverage' then subsidy.register_submission_id
            else subsidy.submission_id
        end as denominator_submission_id,
        case expected_part.measure
            when 'school_coverage' then greatest(subsidy.received_at, subsidy.register_received_at)
            else subsidy.received_at
        end as known_at,
        cast(null as date) as population_vintage_from,
        cast(null as date) as population_vintage_to,
        cast(null as varchar) as population_source,
        'rural_subsidy' as numerator_return,
        expected_part.part_period as numerator_period,
        case expected_part.measure when 'school_coverage' then 'school' else 'rural_subsidy' end as denominator_return,
        case expected_part.measure
            when 'school_coverage' then expected_part.school_year
            else expected_part.part_period
        end as denominator_period
    from expected_part
    left join {{ ref('int_subsidy_county') }} as subsidy
        on
            expected_part.county_code = subsidy.county_code
            and expected_part.part_period = subsidy.period
            and expected_part.caliber_id = subsidy.caliber_id
            and expected_part.programme = subsidy.programme
            and subsidy.is_total
    where expected_part.return_code = 'rural_subsidy'
),

part as (
    select * from enrolment_part
    union all
    select * from pay_part
    union all
    select * from subsidy_part
),

part_of_period as (
    select
        *,
        part_period as period,
        true as is_period_spanned,
        true as is_period_spanned_by_all
    from part
    union all
    -- Yuan and months add up over a year; the same teachers and schools, reported every quarter, do not.
    select
        *,
        calendar_year as period,
        is_year_spanned as is_period_spanned,
        is_year_spanned_by_all as is_period_spanned_by_all
    from part
    where period_type in ('quarter', 'month') and measure not in ('teacher_coverage', 'school_coverage')
)

select
    part_of_period.indicator_code,
    part_of_period.caliber_id,
    part_of_period.period,
    part_of_period.calendar_year,
    part_of_period.county_code,
    part_of_period.county_name,
    part_of_period.city_code,
    part_of_period.sort_order,
    part_of_period.part_period,
    part_of_period.reference_on,
    part_of_period.is_period_spanned,
    part_of_period.is_period_spanned_by_all,
    -- A ratio of averages needs all four terms, a simple one two.
    part_of_period.numerator is not null
    and part_of_period.denominator is not null
    and (
        part_of_period.measure not in ('gender_parity', 'ratio')
        or (part_of_period.numerator_base is not null and part_of_period.denominator_base is not null)
    ) as has_both_terms,
    cast(part_of_period.numerator as decimal(38, 2)) as numerator,
    cast(part_of_period.numerator_base as decimal(38, 2)) as numerator_base,
    cast(part_of_period.denominator as decimal(38, 2)) as denominator,
    cast(part_of_period.denominator_base as decimal(38, 2)) as denominator_base,
    part_of_period.numerator_submission_id,
    part_of_period.denominator_submission_id,
    part_of_period.known_at,
    part_of_period.population_vintage_from,
    part_of_period.population_vintage_to,
    part_of_period.population_source,
    coalesce(numerator_filing.is_settled and denominator_filing.is_settled, false) as is_settled,
    coalesce(numerator_filing.is_revised, false) or coalesce(denominator_filing.is_revised, false) as is_revised
from part_of_period
{% for side in ('numerator', 'denominator') %}
    left join {{ ref('stg_filing') }} as {{ side }}_filing
        on
            {{ side }}_filing.is_in_force
            and part_of_period.{{ side }}_return = {{ side }}_filing.return_code
            and part_of_period.{{ side }}_period = {{ side }}_filing.period
            and part_of_period.county_code = {{ side }}_filing.county_code
{% endfor %}
