-- Subsidies to be defended: what was owed against what was paid, by programme and tier, for each reported period.
--
-- The bridge from the document to the bank, every step exact:
--   entitled (heads × standard of the document × months)
--   + price effect (heads × months × (reported − documented standard))
--   + quantity effect (due − heads × reported standard × months)
--   = due as reported
--   − teachers not paid at all (× reported standard × months) − paid less than the standard
--   = paid.
-- Arrears add up over the periods of a calendar year, and those of earlier years of the calendar are carried; both only
-- where every earlier period is there. A programme has a row for all its tiers too (is_total).
{% set part_terms = (
    'teachers_entitled_n', 'teachers_paid_n', 'entitled_teacher_months_n', 'paid_teacher_months_n', 'due_recomputed_yuan',
    'due_yuan', 'paid_yuan', 'arrears_yuan', 'unpaid_teachers_yuan', 'paid_late_yuan',
) %}
with {{ subsidy_tiers_shown() }},

part as (
    select
        county_code,
        county_name,
        city_code,
        sort_order,
        period,
        period_start,
        period_end,
        calendar_year
    from {{ ref('stg_expected_filing') }}
    where return_code = 'rural_subsidy'
),

-- A nearer tier whose teachers were paid more a month, on average, than those of a more remote one: by county.
paid_tier as (
    select
        subsidy.county_code,
        subsidy.period,
        subsidy.programme,
        subsidy.tier,
        subsidy.remoteness_rank,
        subsidy.paid_yuan,
        subsidy.paid_teacher_months_n
    from {{ ref('int_subsidy_county') }} as subsidy
    inner join
        {{ source('policy', 'calibers') }} as calibers
        on subsidy.caliber_id = calibers.caliber_id and calibers.is_default
    where not subsidy.is_total and subsidy.paid_teacher_months_n > 0 and subsidy.paid_yuan is not null
),

tier_order as (
    select
        nearer.county_code,
        nearer.period,
        nearer.programme,
        string_agg(
            nearer.tier || ' ' || {{ plain_number(rate('nearer.paid_yuan', 'nearer.paid_teacher_months_n')) }}
            || ' 元高于' || remote.tier || ' '
            || {{ plain_number(rate('remote.paid_yuan', 'remote.paid_teacher_months_n')) }} || ' 元',
            '、' order by nearer.remoteness_rank, remote.remoteness_rank
        ) as paid_order_broken
    from paid_tier as nearer
    inner join paid_tier as remote
        on
            nearer.county_code = remote.county_code
            and nearer.period = remote.period
            and nearer.programme = remote.programme
            and nearer.remoteness_rank < remote.remoteness_rank
            and {{ hundredths('nearer.paid_yuan') }} * remote.paid_teacher_months_n
            > {{ hundredths('remote.paid_yuan') }} * nearer.paid_teacher_months_n
    group by nearer.county_code, nearer.period, nearer.programme
),

-- Which programmes exclude each other, seen from each of the two.
exclusive as (
    select
        programme_a as programme,
        programme_b as other_programme,
        valid_from,
        valid_to
    from {{ source('policy', 'exclusive_programmes') }}
    union distinct
    select
        programme_b as programme,
        programme_a as other_programme,
        valid_from,
        valid_to
    from {{ source('policy', 'exclusive_programmes') }}
),

-- Without a rule, which is how it is shipped, no row below is looked at.
ruled as (
    select distinct
        part.period,
        part.calendar_year,
        exclusive.programme
    from part
    inner join exclusive
        on
            part.period_end >= exclusive.valid_from
            and (exclusive.valid_to is null or part.period_end < exclusive.valid_to)
),

paid_school as (
    select
        subsidy.county_code,
        subsidy.period,
        subsidy.school_code,
        any_value(subsidy.school_name) as school_name,
        subsidy.programme,
        any_value(part.period_end) as period_end,
        any_value(part.calendar_year) as calendar_year,
        {{ sum_or_missing('teachers_paid', 'subsidy') }} as teachers_paid
    from {{ ref('stg_rural_subsidy') }} as subsidy
    inner join ruled on subsidy.period = ruled.period and subsidy.programme = ruled.programme
    inner join part on subsidy.county_code = part.county_code and subsidy.period = part.period
    group by subsidy.county_code, subsidy.period, subsidy.school_code, subsidy.programme
),

school_teachers as (
    select
        pay.county_code,
        pay.period as calendar_year,
        pay.school_code,
        {{ sum_or_missing('teachers_average', 'pay') }} as teachers
    from {{ ref('stg_teacher_pay') }} as pay
    where pay.period in (select ruled.calendar_year from ruled)
    group by pay.county_code, pay.period, pay.school_code
),

-- No person is in the data: a school is asked about when the teachers paid by two programmes that exclude each other
-- are more than the teachers on its payroll. A school without a payroll that year cannot be judged.
claim as (
    select
        one.county_code,
        one.period,
        one.programme,
        one.school_code,
        any_value(one.school_name) as school_name,
        bool_or(
            one.teachers_paid is null or other.teachers_paid is null or school_teachers.teachers is null
        ) as is_unjudged,
        max(one.teachers_paid + other.teachers_paid - school_teachers.teachers) as teachers_over
    from paid_school as one
    inner join exclusive
        on
            one.programme = exclusive.programme
            and one.period_end >= exclusive.valid_from
            and (exclusive.valid_to is null or one.period_end < exclusive.valid_to)
    inner join paid_school as other
        on
            one.county_code = other.county_code
            and one.period = other.period
            and one.school_code = other.school_code
            and exclusive.other_programme = other.programme
    left join school_teachers
        on
            one.county_code = school_teachers.county_code
            and one.calendar_year = school_teachers.calendar_year
            and one.school_code = school_teachers.school_code
    where coalesce(one.teachers_paid, 1) > 0 and coalesce(other.teachers_paid, 1) > 0
    group by one.county_code, one.period, one.programme, one.school_code
),

county_claim as (
    select
        county_code,
        period,
        programme,
        count(*) filter (where teachers_over > 0) as schools_n,
        count(*) filter (where is_unjudged and coalesce(teachers_over, 0) <= 0) as unjudged_n,
        coalesce(sum(teachers_over) filter (where teachers_over > 0), 0) as teachers_over,
        string_agg(
            school_name || '（多 ' || {{ plain_number('cast(teachers_over as decimal(38, 1))') }} || ' 人）',
            '、' order by school_code
        ) filter (where teachers_over > 0) as schools
    from claim
    group by county_code, period, programme
),

county_part as (
    select
        part.*,
        tier.programme,
        tier.tier,
        tier.is_total,
        {% for term in part_terms %}
            subsidy.{{ term }},
        {% endfor %}
        subsidy.entitled_yuan,
        subsidy.months_min_n,
        subsidy.months_max_n,
        subsidy.standard_min_yuan,
        subsidy.standard_max_yuan,
        subsidy.seed_yuan_per_month,
        subsidy.off_standard_rows_n,
        subsidy.is_tier_order_respected,
        coalesce(subsidy.lacking, '') as lacking,
        case
            when subsidy.county_code is not null then coalesce(tier_order.paid_order_broken, '')
        end as paid_order_broken,
        -- Asked only where a rule is in force and the programme has a row for all its tiers.
        tier.is_total and ruled.programme is not null and subsidy.county_code is not null as is_exclusive,
        county_claim.schools_n as claim_schools_n,
        county_claim.unjudged_n as claim_unjudged_n,
        county_claim.teachers_over as claim_teachers_over,
        county_claim.schools as claim_schools,
        coalesce(
            {% for term in part_terms %}
                subsidy.{{ term }} is not null{{ ' and' if not loop.last }}
            {% endfor %}, false
        ) as is_covered
    from part
    cross join tier
    inner join {{ source('policy', 'calibers') }} as calibers on calibers.caliber_kind = 'rural' and calibers.is_default
    left join {{ ref('int_subsidy_county') }} as subsidy
        on
            part.county_code = subsidy.county_code
            and part.period = subsidy.period
            and calibers.caliber_id = subsidy.caliber_id
            and tier.programme = subsidy.programme
            and tier.tier = subsidy.tier
    left join tier_order
        on
            part.county_code = tier_order.county_code
            and part.period = tier_order.period
            and tier.programme = tier_order.programme
    left join county_claim
        on
            part.county_code = county_claim.county_code
            and part.period = county_claim.period
            and tier.programme = county_claim.programme
            and tier.is_total
    left join ruled on part.period = ruled.period and tier.programme = ruled.programme
),

placed as (
    select
        county_part.*,
        area_level.is_city,
        case when area_level.is_city then county_part.city_code else county_part.county_code end as area_code
    from county_part
    cross join (values (false), (true)) as area_level (is_city)
),

rolled_up as (
    select
        period,
        area_code,
        programme,
        tier,
        is_total,
        any_value(period_start) as period_start,
        any_value(period_end) as period_end,
        any_value(calendar_year) as calendar_year,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        string_agg(
            county_name || coalesce('（' || nullif(lacking, '') || '）', ''), '、' order by sort_order, county_code
        ) filter (where not is_covered) as missing_areas,
        {% for term in part_terms %}
            sum({{ term }}) filter (where is_covered) as {{ term }},
        {% endfor %}
        -- Without a documented standard for one of the counties there is no sum over them.
        case
            when bool_and(entitled_yuan is not null) filter (where is_covered)
                then sum(entitled_yuan) filter (where is_covered)
        end as entitled_yuan,
        min(months_min_n) filter (where is_covered) as months_min_n,
        max(months_max_n) filter (where is_covered) as months_max_n,
        min(standard_min_yuan) filter (where is_covered) as standard_min_yuan,
        max(standard_max_yuan) filter (where is_covered) as standard_max_yuan,
        case
            when
                min(seed_yuan_per_month) filter (where is_covered) = max(seed_yuan_per_month) filter (where is_covered)
                and bool_and(seed_yuan_per_month is not null) filter (where is_covered)
                then min(seed_yuan_per_month)
        end as standard_yuan_per_month,
        sum(off_standard_rows_n) filter (where is_covered) as off_standard_rows_n,
        bool_and(is_tier_order_respected) filter (where is_covered) as is_tier_order_respected,
        coalesce(string_agg(
            case when is_city then county_name || '：' else '' end || paid_order_broken,
            '；' order by sort_order, county_code
        ) filter (where is_covered and paid_order_broken != ''), '') as paid_order_broken,
        count(*) filter (where is_covered and is_exclusive) as claim_judged_n,
        sum(coalesce(claim_schools_n, 0)) filter (where is_covered and is_exclusive) as claim_schools_n,
        sum(coalesce(claim_unjudged_n, 0)) filter (where is_covered and is_exclusive) as claim_unjudged_n,
        sum(coalesce(claim_teachers_over, 0)) filter (where is_covered and is_exclusive) as claim_teachers_over,
        string_agg(
            case when is_city then county_name || '：' else '' end || claim_schools, '；' order by sort_order, county_code
        ) filter (where is_covered and is_exclusive) as claim_schools
    from placed
    group by period, area_code, programme, tier, is_total
),

-- What the periods so far leave open. Days tell whether the calendar's periods follow each other without a gap.
accumulated as (
    select
        *,
        due_yuan - paid_yuan as open_yuan,
        sum(due_yuan - paid_yuan) over this_year as open_in_year_yuan,
        sum(due_yuan - paid_yuan) over so_far as open_so_far_yuan,
        sum(expected_n - coverage_n) over this_year as lacking_in_year_n,
        sum(expected_n - coverage_n) over so_far as lacking_so_far_n,
        sum(period_end - period_start + 1) over this_year as days_in_year_n,
        sum(period_end - period_start + 1) over so_far as days_so_far_n,
        min(period_start) over so_far as first_start,
        string_agg(
            case
                when coverage_n < expected_n
                    then period || case when expected_n > 1 then '（' || missing_areas || '）' else '' end
            end, '、'
        ) over so_far as lacking_parts
    from rolled_up
    window
        this_year as (
            partition by area_code, programme, tier, calendar_year order by period_start
            rows between unbounded preceding and current row
        ),
        so_far as (
            partition by area_code, programme, tier order by period_start
            rows between unbounded preceding and current row
        )
),

judged as (
    select
        accumulated.*,
        {{ coverage_status(
            'accumulated.coverage_n', 'accumulated.expected_n', 'run.withhold_below', 'true'
        ) }} as status,
        cast(date_trunc('year', accumulated.period_start) as date) as year_start
    from accumulated
    cross join {{ source('control', 'run') }} as run
),

known as (
    select
        *,
        lacking_in_year_n = 0 and days_in_year_n = dayofyear(period_end) as is_year_known,
        -- The calendar has earlier years, they follow each other to this one, and nothing of them is lacking.
        first_start < year_start
        and lacking_so_far_n = lacking_in_year_n
        and days_so_far_n - days_in_year_n = year_start - first_start as is_carried_known
    from judged
),

-- A withheld figure shows none of its terms either.
shown as (
    select
        period,
        area_code,
        programme,
        tier,
        is_total,
        {% for term in part_terms + ('entitled_yuan',) %}
            cast(
                case when status != 'withheld' then {{ term }} end
                as {{ 'decimal(38, 2)' if term.endswith('_yuan') else 'bigint' }}
            ) as {{ term }},
        {% endfor %}
        {% for column in (
            'months_min_n', 'months_max_n', 'standard_min_yuan', 'standard_max_yuan', 'standard_yuan_per_month',
            'off_standard_rows_n', 'is_tier_order_respected', 'paid_order_broken', 'claim_schools_n', 'claim_unjudged_n',
            'claim_teachers_over',
        ) %}
            case when status != 'withheld' then {{ column }} end as {{ column }},
        {% endfor %}
        case when status != 'withheld' and claim_judged_n > 0 then coalesce(claim_schools, '') end as claim_schools,
        case when status != 'withheld' and is_year_known then open_in_year_yuan end as open_in_year_yuan,
        case
            when status != 'withheld' and is_carried_known then open_so_far_yuan - open_in_year_yuan
        end as carried_yuan,
        concat_ws(
            '；',
            case when not is_year_known and days_in_year_n < dayofyear(period_end) then '本年以前各月不在报送日历' end,
            case when first_start >= year_start then '以前年度不在报送日历' end,
            case when not (is_year_known and is_carried_known) then '缺 ' || lacking_parts end
        ) as arrears_unknown_because,
        cast(coverage_n as integer) as coverage_n,
        cast(expected_n as integer) as expected_n,
        coalesce(missing_areas, '') as missing_areas,
        status
    from known
),

reckoned as (
    select
        *,
        cast(due_yuan - paid_yuan as decimal(38, 2)) as arrears_recomputed_yuan,
        cast(arrears_yuan - (due_yuan - paid_yuan) as decimal(38, 2)) as arrears_unexplained_yuan,
        cast(due_yuan - entitled_yuan as decimal(38, 2)) as due_over_entitled_yuan,
        cast(due_recomputed_yuan - entitled_yuan as decimal(38, 2)) as price_effect_yuan,
        cast(due_yuan - due_recomputed_yuan as decimal(38, 2)) as quantity_effect_yuan,
        cast(due_recomputed_yuan - unpaid_teachers_yuan - paid_yuan as decimal(38, 2)) as underpaid_yuan,
        cast(open_in_year_yuan as decimal(38, 2)) as arrears_in_year_yuan,
        cast(carried_yuan as decimal(38, 2)) as arrears_carried_yuan,
        cast(open_in_year_yuan + carried_yuan as decimal(38, 2)) as arrears_total_yuan
    from shown
)

select
    period,
    area_code,
    programme,
    tier,
    is_total,
    teachers_entitled_n,
    teachers_paid_n,
    standard_yuan_per_month,
    standard_min_yuan,
    standard_max_yuan,
    cast(off_standard_rows_n as integer) as off_standard_rows_n,
    off_standard_rows_n = 0 as is_standard_agreed,
    {{ subsidy_policy_is_sample('reckoned') }} as policy_is_sample,
    cast(months_min_n as integer) as months_min_n,
    cast(months_max_n as integer) as months_max_n,
    entitled_teacher_months_n,
    paid_teacher_months_n,
    entitled_yuan,
    due_recomputed_yuan,
    due_yuan,
    due_over_entitled_yuan,
    price_effect_yuan,
    quantity_effect_yuan,
    paid_yuan,
    {{ rate('paid_yuan', 'due_yuan', 100) }} as paid_percent,
    {{ rate('paid_yuan', 'entitled_yuan', 100) }} as paid_of_entitled_percent,
    paid_late_yuan,
    unpaid_teachers_yuan,
    underpaid_yuan,
    arrears_yuan,
    arrears_recomputed_yuan,
    arrears_unexplained_yuan,
    arrears_in_year_yuan,
    arrears_carried_yuan,
    arrears_total_yuan,
    arrears_unknown_because,
    is_tier_order_respected,
    paid_order_broken,
    cast(claim_schools_n as integer) as double_claim_schools_n,
    cast(claim_teachers_over as decimal(38, 1)) as double_claim_teachers,
    cast(claim_unjudged_n as integer) as double_claim_unjudged_n,
    claim_schools as double_claim_schools,
    {{ reconciliation_words() }} as reconciliation_wording,
    coverage_n,
    expected_n,
    missing_areas,
    status
from reckoned
order by period, area_code, programme, tier
