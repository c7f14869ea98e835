-- Subsidies by programme and tier, for each reported period and for the calendar year that sums its periods. Each tier
-- has its row, and the programme one for all its tiers (is_total), because schools and standards do not add up.
with tier as (
    select
        programme,
        tier,
        false as is_total
    from {{ ref('subsidy_tiers') }}
    union distinct
    select
        programme,
        '合计' as tier,
        true as is_total
    from {{ ref('subsidy_tiers') }}
    union distinct
    select
        programme,
        tier,
        is_total
    from {{ ref('int_subsidy_county') }}
),

county_part as (
    select
        expected.county_code,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.period as part_period,
        expected.calendar_year,
        expected.period_type,
        tier.programme,
        tier.tier,
        tier.is_total,
        subsidy.teachers_entitled_n,
        subsidy.teachers_paid_n,
        subsidy.paid_teacher_months_n,
        subsidy.due_yuan,
        subsidy.due_recomputed_yuan,
        subsidy.paid_yuan,
        subsidy.arrears_yuan,
        subsidy.schools_paid_n,
        subsidy.rural_schools_n,
        subsidy.rural_schools_covered_n,
        subsidy.standard_min_yuan,
        subsidy.standard_max_yuan,
        subsidy.seed_yuan_per_month,
        subsidy.off_standard_rows_n,
        subsidy.is_tier_order_respected,
        coalesce(
            subsidy.teachers_entitled_n is not null
            and subsidy.teachers_paid_n is not null
            and subsidy.due_yuan is not null
            and subsidy.due_recomputed_yuan is not null
            and subsidy.paid_yuan is not null
            and subsidy.arrears_yuan is not null
            and subsidy.paid_teacher_months_n is not null,
            false
        ) as is_covered,
        coalesce(
            subsidy.rural_schools_n is not null and subsidy.rural_schools_covered_n is not null, false
        ) as is_school_covered
    from {{ ref('stg_expected_filing') }} as expected
    cross join tier
    inner join {{ ref('calibers') }} as calibers on calibers.caliber_kind = 'rural' and calibers.is_default
    left join {{ ref('int_subsidy_county') }} as subsidy
        on
            expected.county_code = subsidy.county_code
            and expected.period = subsidy.period
            and calibers.caliber_id = subsidy.caliber_id
            and tier.programme = subsidy.programme
            and tier.tier = subsidy.tier
    where expected.return_code = 'rural_subsidy'
),

dated_part as (
    select
        *,
        part_period as period
    from county_part
    union all
    select
        *,
        calendar_year as period
    from county_part
    where period_type in ('quarter', 'month')
),

placed_part as (
    select
        dated_part.*,
        case when area_level.is_city then dated_part.city_code else dated_part.county_code end as area_code
    from dated_part
    cross join (values (false), (true)) as area_level (is_city)
),

rolled_up as (
    select
        period,
        area_code,
        programme,
        tier,
        is_total,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        count(*) filter (where is_school_covered) as school_coverage_n,
        string_agg(
            county_name || case when part_period != period then '（' || part_period || '）' else '' end,
            '、' order by sort_order, county_code, part_period
        ) filter (where not is_covered) as missing_areas,
        {% for term in (
            'teachers_entitled_n', 'teachers_paid_n', 'paid_teacher_months_n', 'due_yuan', 'due_recomputed_yuan',
            'paid_yuan', 'arrears_yuan', 'schools_paid_n',
        ) %}
            sum({{ term }}) filter (where is_covered) as {{ term }},
        {% endfor %}
        sum(rural_schools_n) filter (where is_school_covered) as rural_schools_n,
        sum(rural_schools_covered_n) filter (where is_school_covered) as rural_schools_covered_n,
        min(standard_min_yuan) filter (where is_covered) as standard_min_yuan,
        max(standard_max_yuan) filter (where is_covered) as standard_max_yuan,
        case when min(seed_yuan_per_month) = max(seed_yuan_per_month) then min(seed_yuan_per_month) end
            as seed_yuan_per_month,
        sum(off_standard_rows_n) filter (where is_covered) as off_standard_rows_n,
        bool_and(is_tier_order_respected) filter (where is_covered) as is_tier_order_respected
    from placed_part
    group by all
),

judged as (
    select
        rolled_up.*,
        {{ coverage_status('rolled_up.coverage_n', 'rolled_up.expected_n', 'run.withhold_below') }} as status,
        {{ coverage_status('rolled_up.school_coverage_n', 'rolled_up.expected_n', 'run.withhold_below') }}
            as school_status
    from rolled_up
    cross join {{ source('control', 'run') }} as run
),

-- A withheld figure shows none of its terms either.
shown as (
    select
        period,
        area_code,
        programme,
        tier,
        is_total,
        {% for term in ('rural_schools_n', 'rural_schools_covered_n') %}
            cast(case when school_status != 'withheld' then {{ term }} end as bigint) as {{ term }},
        {% endfor %}
        {% for term in ('schools_paid_n', 'teachers_entitled_n', 'teachers_paid_n', 'paid_teacher_months_n') %}
            cast(case when status != 'withheld' then {{ term }} end as bigint) as {{ term }},
        {% endfor %}
        {% for term in ('due_yuan', 'due_recomputed_yuan', 'paid_yuan', 'arrears_yuan') %}
            cast(case when status != 'withheld' then {{ term }} end as decimal(20, 2)) as {{ term }},
        {% endfor %}
        standard_min_yuan,
        standard_max_yuan,
        seed_yuan_per_month,
        cast(off_standard_rows_n as integer) as off_standard_rows_n,
        is_tier_order_respected,
        cast(coverage_n as integer) as coverage_n,
        cast(expected_n as integer) as expected_n,
        cast(school_coverage_n as integer) as school_coverage_n,
        coalesce(missing_areas, '') as missing_areas,
        status
    from judged
)

select
    period,
    area_code,
    programme,
    tier,
    is_total,
    rural_schools_n,
    rural_schools_covered_n,
    {{ rate('rural_schools_covered_n', 'rural_schools_n', 100) }} as school_coverage_percent,
    schools_paid_n,
    teachers_entitled_n,
    teachers_paid_n,
    {{ rate('teachers_paid_n', 'teachers_entitled_n', 100) }} as teacher_coverage_percent,
    due_yuan,
    due_recomputed_yuan,
    cast(due_yuan - due_recomputed_yuan as decimal(20, 2)) as due_difference_yuan,
    paid_yuan,
    {{ rate('paid_yuan', 'due_yuan', 100) }} as paid_percent,
    arrears_yuan,
    paid_teacher_months_n,
    {{ rate('paid_yuan', 'paid_teacher_months_n') }} as monthly_average_yuan,
    standard_min_yuan,
    standard_max_yuan,
    seed_yuan_per_month as standard_yuan_per_month,
    off_standard_rows_n,
    off_standard_rows_n = 0 as is_standard_agreed,
    is_tier_order_respected,
    coverage_n,
    expected_n,
    school_coverage_n,
    missing_areas,
    status
from shown
order by period, area_code, programme, tier
