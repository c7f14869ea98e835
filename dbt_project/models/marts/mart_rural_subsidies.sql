-- Subsidies by programme and tier, for each reported period and for the calendar year that sums its periods. Each tier
-- has its row, and the programme one for all its tiers (is_total), because schools and standards do not add up. Nor do
-- heads and schools over a year: its row has yuan and person-months only. A county that paid though nothing was due, or
-- that has the programme and nothing was due in it, has no share of its own and is in no sum, nor is one with paid
-- teachers over no rural teachers in theirs: as in fct_indicator. The account of all money is
-- mart_subsidy_reconciliation.
{% set head_terms = ('teachers_entitled_n', 'teachers_paid_n', 'schools_paid_n') %}
{% set sum_terms = (
    'paid_teacher_months_n', 'entitled_teacher_months_n', 'due_yuan', 'due_recomputed_yuan', 'paid_yuan', 'arrears_yuan',
) %}
{% set school_terms = ('rural_schools_n', 'rural_schools_covered_n') %}
{% set teacher_terms = ('rural_teachers_n', 'rural_teachers_paid_n') %}
with {{ subsidy_tiers_shown() }},

-- No programme is paid by more than this share of what is due, arrears of before included.
paid_share as (
    select max(ceiling) as ceiling_percent
    from {{ source('declared', 'indicator') }}
    where indicator_code = 'living_allowance_paid_share'
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
        expected.is_year_spanned,
        expected.is_year_spanned_by_all,
        tier.programme,
        tier.tier,
        tier.is_total,
        subsidy.teachers_entitled_n,
        subsidy.teachers_paid_n,
        subsidy.paid_teacher_months_n,
        subsidy.entitled_teacher_months_n,
        subsidy.due_yuan,
        subsidy.due_recomputed_yuan,
        subsidy.paid_yuan,
        subsidy.arrears_yuan,
        subsidy.schools_paid_n,
        subsidy.rural_schools_n,
        subsidy.rural_schools_covered_n,
        subsidy.rural_teachers_n,
        subsidy.rural_teachers_paid_n,
        subsidy.standard_min_yuan,
        subsidy.standard_max_yuan,
        subsidy.seed_yuan_per_month,
        subsidy.off_standard_rows_n,
        subsidy.is_tier_order_respected,
        coalesce(subsidy.is_expected, false) as is_expected,
        coalesce(subsidy.lacking, '') as lacking,
        coalesce(
            subsidy.teachers_entitled_n is not null
            and subsidy.teachers_paid_n is not null
            and subsidy.due_yuan is not null
            and subsidy.due_recomputed_yuan is not null
            and subsidy.paid_yuan is not null
            and subsidy.arrears_yuan is not null
            and subsidy.paid_teacher_months_n is not null
            and subsidy.entitled_teacher_months_n is not null,
            false
        ) as is_reported,
        coalesce(
            subsidy.rural_schools_n is not null and subsidy.rural_schools_covered_n is not null, false
        ) as is_school_covered,
        -- Over no teachers there is no share, except where there is no rural school and nobody was paid.
        coalesce(
            subsidy.rural_teachers_paid_n is not null
            and (
                subsidy.rural_teachers_n > 0
                or (
                    subsidy.rural_teachers_n = 0
                    and subsidy.rural_teachers_paid_n = 0
                    and (not tier.is_total or subsidy.rural_schools_n = 0)
                )
            ),
            false
        ) as is_teacher_covered
    from {{ ref('stg_expected_filing') }} as expected
    cross join tier
    inner join {{ source('policy', 'calibers') }} as calibers on calibers.caliber_kind = 'rural' and calibers.is_default
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
        part_period as period,
        false as is_year,
        true as is_period_spanned,
        true as is_period_spanned_by_all
    from county_part
    union all
    select
        *,
        calendar_year as period,
        true as is_year,
        is_year_spanned as is_period_spanned,
        is_year_spanned_by_all as is_period_spanned_by_all
    from county_part
    where period_type in ('quarter', 'month')
),

-- A county counts when all its parts of the period are there: three quarters are no year.
county_figure as (
    select
        period,
        is_year,
        county_code,
        county_name,
        city_code,
        sort_order,
        programme,
        tier,
        is_total,
        bool_and(coalesce(is_period_spanned, true)) as is_period_spanned,
        bool_and(coalesce(is_period_spanned_by_all, true)) as is_period_spanned_by_all,
        bool_and(is_reported) as is_reported,
        bool_or(is_expected) as is_expected,
        bool_and(is_school_covered) as is_school_covered,
        bool_and(is_teacher_covered) as is_teacher_covered,
        string_agg(
            county_name || coalesce('（' || nullif(concat_ws(
                ' ', case when is_year then part_period end, nullif(lacking, '')
            ), '') || '）', ''),
            '、' order by part_period
        ) filter (where not is_reported) as unreported_parts,
        {% for term in head_terms + sum_terms + school_terms + teacher_terms + ('off_standard_rows_n',) %}
            sum({{ term }}) as {{ term }},
        {% endfor %}
        min(standard_min_yuan) as standard_min_yuan,
        max(standard_max_yuan) as standard_max_yuan,
        min(seed_yuan_per_month) as seed_min_yuan,
        max(seed_yuan_per_month) as seed_max_yuan,
        bool_and(is_tier_order_respected) as is_tier_order_respected
    from dated_part
    group by all
),

covered_figure as (
    select
        *,
        is_reported
        and due_yuan = 0
        and (paid_yuan > 0 or (is_total and (is_expected or teachers_entitled_n > 0))) as is_over_zero,
        is_reported and not is_over_zero as is_covered,
        case when is_over_zero then county_name || '（应发为 0）' else unreported_parts end as missing_parts
    from county_figure
),

placed_figure as (
    select
        covered_figure.*,
        area_level.is_city,
        paid_share.ceiling_percent,
        case when area_level.is_city then covered_figure.city_code else covered_figure.county_code end as area_code
    from covered_figure
    cross join (values (false), (true)) as area_level (is_city)
    cross join paid_share
),

summed_figure as (
    select
        *,
        is_covered or (
            bool_and(is_reported and not is_covered) over (partition by period, is_year, area_code, programme, tier)
        ) as is_summed
    from placed_figure
),

rolled_up as (
    select
        period,
        is_year,
        area_code,
        programme,
        tier,
        is_total,
        -- A county that was there for a part of the year has a part of it; of the city's its successor has the rest.
        bool_and(case when is_city then is_period_spanned_by_all else is_period_spanned end) as is_period_spanned,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        bool_and(is_summed and not is_covered) as is_undefined,
        bool_or(is_over_zero and paid_yuan > 0) as has_error,
        bool_or(is_covered and paid_yuan * 100 > ceiling_percent * due_yuan) as is_implausible,
        count(*) filter (where is_school_covered) as school_coverage_n,
        count(*) filter (where is_teacher_covered) as teacher_coverage_n,
        string_agg(missing_parts, '、' order by sort_order, county_code) as missing_areas,
        {% for term in head_terms + sum_terms + ('off_standard_rows_n',) %}
            sum({{ term }}) filter (where is_summed) as {{ term }},
        {% endfor %}
        {% for term in school_terms %}
            sum({{ term }}) filter (where is_school_covered) as {{ term }},
        {% endfor %}
        {% for term in teacher_terms %}
            sum({{ term }}) filter (where is_teacher_covered) as {{ term }},
        {% endfor %}
        min(standard_min_yuan) filter (where is_summed) as standard_min_yuan,
        max(standard_max_yuan) filter (where is_summed) as standard_max_yuan,
        case when min(seed_min_yuan) = max(seed_max_yuan) then min(seed_min_yuan) end as seed_yuan_per_month,
        bool_and(is_tier_order_respected) filter (where is_summed) as is_tier_order_respected
    from summed_figure
    group by period, is_year, area_code, programme, tier, is_total
),

judged as (
    select
        rolled_up.*,
        {{ coverage_status(
            'rolled_up.coverage_n', 'rolled_up.expected_n', 'run.withhold_below', 'rolled_up.is_period_spanned',
            'rolled_up.is_undefined'
        ) }} as coverage_status,
        {{ coverage_status(
            'rolled_up.school_coverage_n', 'rolled_up.expected_n', 'run.withhold_below', 'rolled_up.is_period_spanned'
        ) }} as school_status,
        {{ coverage_status(
            'rolled_up.teacher_coverage_n', 'rolled_up.expected_n', 'run.withhold_below', 'rolled_up.is_period_spanned'
        ) }} as teacher_status
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
        {% for term in school_terms %}
            cast(case when school_status != 'withheld' and not is_year then {{ term }} end as bigint) as {{ term }},
        {% endfor %}
        {% for term in teacher_terms %}
            cast(
                case when teacher_status != 'withheld' and not is_year then {{ term }} end as decimal(38, 1)
            ) as {{ term }},
        {% endfor %}
        {% for term in head_terms %}
            cast(case when coverage_status != 'withheld' and not is_year then {{ term }} end as bigint) as {{ term }},
        {% endfor %}
        {% for term in sum_terms %}
            cast(
                case when coverage_status != 'withheld' then {{ term }} end
                as {{ 'decimal(38, 2)' if term.endswith('_yuan') else 'bigint' }}
            ) as {{ term }},
        {% endfor %}
        standard_min_yuan,
        standard_max_yuan,
        seed_yuan_per_month,
        cast(off_standard_rows_n as integer) as off_standard_rows_n,
        is_tier_order_respected,
        cast(coverage_n as integer) as coverage_n,
        cast(expected_n as integer) as expected_n,
        cast(case when not is_year then school_coverage_n end as integer) as school_coverage_n,
        cast(case when not is_year then teacher_coverage_n end as integer) as teacher_coverage_n,
        coalesce(missing_areas, '') as missing_areas,
        case
            when coverage_status = 'undefined' then case when has_error then 'error' else 'not_applicable' end
            when coverage_status in ('complete', 'partial') and is_implausible then 'implausible'
            else coverage_status
        end as status
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
    {{ rate('teachers_paid_n', 'teachers_entitled_n', 100) }} as teachers_paid_percent,
    rural_teachers_n,
    cast(rural_teachers_paid_n as bigint) as rural_teachers_paid_n,
    {{ rate('rural_teachers_paid_n', 'rural_teachers_n', 100) }} as rural_teacher_coverage_percent,
    due_yuan,
    due_recomputed_yuan,
    cast(due_yuan - due_recomputed_yuan as decimal(38, 2)) as due_difference_yuan,
    paid_yuan,
    {{ rate('paid_yuan', 'due_yuan', 100) }} as paid_percent,
    arrears_yuan,
    paid_teacher_months_n,
    {{ rate('paid_yuan', 'paid_teacher_months_n') }} as paid_monthly_average_yuan,
    entitled_teacher_months_n,
    {{ rate('due_recomputed_yuan', 'entitled_teacher_months_n') }} as standard_monthly_average_yuan,
    standard_min_yuan,
    standard_max_yuan,
    seed_yuan_per_month as standard_yuan_per_month,
    off_standard_rows_n,
    off_standard_rows_n = 0 as is_standard_agreed,
    {{ subsidy_policy_is_sample('shown') }} as policy_is_sample,
    is_tier_order_respected,
    coverage_n,
    expected_n,
    school_coverage_n,
    teacher_coverage_n,
    missing_areas,
    status
from shown
order by period, area_code, programme, tier
