-- Are compulsory-stage teachers paid no less than civil servants? Averages and ratio are read from fct_indicator; the
-- city's row counts the counties that comply beside its average, so that no average hides a failing county.
with measure as (
    select
        *,
        case indicator_code
            when 'teacher_pay_ratio' then 'ratio' when 'teacher_pay_compliant_counties' then 'compliant_counties'
        end as measure
    from {{ ref('fct_indicator') }}
    where indicator_code in ('teacher_pay_ratio', 'teacher_pay_compliant_counties')
),

-- Schools on the payroll that neither register of the year has: how many, and the first ten by code.
registered as (
    select distinct
        register.county_code,
        case when numbers.n = 0 then left(register.period, 4) else right(register.period, 4) end as calendar_year,
        register.school_code
    from {{ ref('stg_school') }} as register
    cross join {{ numbers(0, 2) }}
),

unmatched as (
    select
        county_code,
        period,
        caliber_id,
        count(*) as unmatched_schools_n,
        {{ text_list("school_name || '（' || school_code || '）'", '、', 'school_code', 'place_n <= 10') }}
        || case when count(*) > 10 then '等 ' || count(*) || ' 所' else '' end as unmatched_schools
    from (
        select
            pay.county_code,
            pay.period,
            stage_member.caliber_id,
            pay.school_code,
            min(pay.school_name) as school_name,
            row_number() over (
                partition by pay.county_code, pay.period, stage_member.caliber_id order by pay.school_code
            ) as place_n
        from {{ ref('stg_teacher_pay') }} as pay
        inner join {{ source('policy', 'caliber_members') }} as stage_member
            on stage_member.dimension = 'teacher_stage' and pay.stage = stage_member.member
        left join registered
            on
                pay.county_code = registered.county_code
                and pay.period = registered.calendar_year
                and pay.school_code = registered.school_code
        where registered.school_code is null
        group by pay.county_code, pay.period, stage_member.caliber_id, pay.school_code
    ) as school_without_register
    group by county_code, period, caliber_id
),

payroll as (
    select
        county_code,
        period
    from {{ ref('stg_filing') }}
    where is_in_force and return_code = 'teacher_pay'
),

ratio as (
    select
        *,
        -- Whole cents, half away from zero: teacher pay - teachers × civil servants' average.
        cast(
            cast({{ half_up_quotient(
                '(' ~ cross_numerator('numerator_sum', 'denominator_base_sum') ~ ' - '
                ~ hundredths('numerator_base_sum') ~ ' * ' ~ hundredths('denominator_sum') ~ ')',
                hundredths('denominator_base_sum')
            ) }} as decimal(38, 0)) * 0.01 as decimal(38, 2)
        ) as gap_total_yuan,
        -- From the terms again: the quotient of a gap already cut to cents would be rounded twice.
        cast(
            cast({{ half_up_quotient(
                '((' ~ cross_numerator('numerator_sum', 'denominator_base_sum') ~ ' - '
                ~ hundredths('numerator_base_sum') ~ ' * ' ~ hundredths('denominator_sum') ~ ') * 10000)',
                '(' ~ hundredths('denominator_base_sum') ~ ' * ' ~ hundredths('numerator_base_sum') ~ ')'
            ) }} as decimal(38, 0)) * 0.0001 as decimal(38, 4)
        ) as gap_yuan_per_teacher
    from measure
    where measure = 'ratio'
),

judgement as (
    select
        period,
        area_code,
        caliber_id,
        max(numerator_sum) filter (where measure = 'compliant_counties') as counties_compliant_n,
        max(denominator_sum) filter (where measure = 'compliant_counties') as counties_judged_n
    from measure
    group by all
),

area as (
    select distinct
        county_code as area_code,
        city_code,
        period,
        county_name,
        sort_order
    from {{ ref('stg_expected_filing') }}
    where return_code = 'teacher_pay'
),

-- Over the counties of a city: who fails, and what it would cost to bring each of them up.
city_of_counties as (
    select
        ratio.period,
        area.city_code as area_code,
        ratio.caliber_id,
        string_agg(area.county_name, '、' order by area.sort_order, area.area_code) filter (
            where not ratio.is_standard_met
        ) as failing_areas,
        sum(greatest(-ratio.gap_total_yuan, 0)) as shortfall_yuan
    from ratio
    inner join area on ratio.area_code = area.area_code and ratio.period = area.period
    group by all
)

select
    ratio.period,
    ratio.area_code,
    ratio.caliber_id,
    cast(ratio.numerator_base_sum as decimal(38, 2)) as teachers,
    cast(ratio.numerator_sum as decimal(38, 2)) as teacher_pay_yuan,
    ratio.numerator as teacher_average_yuan,
    cast(ratio.denominator_base_sum as decimal(38, 2)) as civil_servants,
    cast(ratio.denominator_sum as decimal(38, 2)) as civil_servant_pay_yuan,
    ratio.denominator as civil_servant_average_yuan,
    ratio.value as ratio,
    ratio.gap_yuan_per_teacher,
    ratio.gap_total_yuan,
    cast(
        case
            when ratio.status in ('withheld', 'not_applicable', 'error') then null
            else coalesce(city_of_counties.shortfall_yuan, greatest(-ratio.gap_total_yuan, 0))
        end as decimal(38, 2)
    ) as shortfall_yuan,
    ratio.standard,
    ratio.is_standard_met as is_average_compliant,
    ratio.policy_is_sample,
    ratio.standard_is_sample,
    -- A city complies when every county does, fails when one fails, and is not judged while a county could still fail.
    case
        when city_of_counties.area_code is null then ratio.is_standard_met
        when ratio.status not in ('complete', 'partial') then null
        when city_of_counties.failing_areas is not null then false
        when judgement.counties_judged_n = ratio.expected_n and ratio.coverage_n = ratio.expected_n then true
    end as is_compliant,
    cast(judgement.counties_compliant_n as integer) as counties_compliant_n,
    cast(judgement.counties_judged_n as integer) as counties_judged_n,
    case
        when city_of_counties.area_code is null and not ratio.is_standard_met then area.county_name
        else coalesce(city_of_counties.failing_areas, '')
    end as failing_areas,
    ratio.coverage_n,
    ratio.expected_n,
    ratio.missing_areas,
    ratio.status,
    cast(case when payroll.period is not null then coalesce(unmatched.unmatched_schools_n, 0) end as integer)
        as unmatched_schools_n,
    case when payroll.period is not null then coalesce(unmatched.unmatched_schools, '') end as unmatched_schools,
    ratio.formula
from ratio
left join judgement
    on
        ratio.period = judgement.period
        and ratio.area_code = judgement.area_code
        and ratio.caliber_id = judgement.caliber_id
left join area on ratio.area_code = area.area_code and ratio.period = area.period
left join payroll on ratio.period = payroll.period and ratio.area_code = payroll.county_code
left join unmatched
    on
        ratio.period = unmatched.period
        and ratio.area_code = unmatched.county_code
        and ratio.caliber_id = unmatched.caliber_id
left join city_of_counties
    on
        ratio.period = city_of_counties.period
        and ratio.area_code = city_of_counties.area_code
        and ratio.caliber_id = city_of_counties.caliber_id
order by ratio.period, ratio.area_code, ratio.caliber_id
