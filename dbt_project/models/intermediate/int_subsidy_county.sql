-- Subsidies of a county by programme and tier, and by programme over all tiers (合计): heads, yuan, standards, schools.
-- One row for every tier that the seed knows or a county reports; a null is a missing term, never a zero. A programme
-- that the county has (is_expected) and does not report at all is missing in every tier.
with {{ subsidy_rows() }},

-- The standard that applies to a county in each month of a period: its own, else that of its hardship category, else
-- the city's. A standard counts for the months on whose last day it is in force.
filing_month as (
    select
        county_code,
        city_code,
        period,
        period_end,
        last_day(unnest(generate_series(period_start, period_end, interval 1 month))) as month_end
    from filing
),

month_standard as (
    select
        filing.county_code,
        filing.period,
        filing.period_end,
        filing.month_end,
        tiers.programme,
        tiers.tier,
        arg_min(
            tiers.yuan_per_month,
            case tiers.scope_code when filing.county_code then 1 when filing.city_code then 3 else 2 end
        ) as yuan_per_month,
        bool_or(tiers.scope_code != filing.city_code) as is_of_county
    from filing_month as filing
    left join {{ source('policy', 'hardship_categories') }} as hardship
        on
            filing.county_code = hardship.county_code
            and filing.month_end >= hardship.valid_from
            and (hardship.valid_to is null or filing.month_end < hardship.valid_to)
    inner join {{ source('policy', 'subsidy_tiers') }} as tiers
        on
            tiers.scope_code in (
                filing.county_code, filing.city_code, 'hardship:' || coalesce(hardship.category, '')
            )
            and filing.month_end >= tiers.valid_from
            and (tiers.valid_to is null or filing.month_end < tiers.valid_to)
    group by all
),

standard as (
    select
        county_code,
        period,
        programme,
        tier,
        -- The one at the period's end is the period's; months before a change are in the sum over the months.
        max(yuan_per_month) filter (where month_end = period_end) as yuan_per_month,
        sum(yuan_per_month) as period_yuan,
        count(*) as months_n,
        min(yuan_per_month) = max(yuan_per_month) as is_unchanged,
        bool_or(is_of_county) filter (where month_end = period_end) as is_of_county
    from month_standard
    group by county_code, period, programme, tier
),

remoteness as (
    select
        programme,
        tier,
        max(remoteness_rank) as remoteness_rank
    from {{ source('policy', 'subsidy_tiers') }}
    group by all
),

tier_row as (
    select
        subsidy.* replace (case when tier_level.is_total then '合计' else subsidy.tier end as tier),
        tier_level.is_total,
        standard.yuan_per_month as seed_yuan_per_month,
        -- What one teacher is entitled to by the document. Where the standard changed within the period, it is known
        -- for the whole of it only: a part does not say which months it was.
        case
            when standard.months_n < date_diff('month', subsidy.period_start, subsidy.period_end) + 1 then null
            when standard.is_unchanged then standard.yuan_per_month * subsidy.months
            when standard.months_n = subsidy.months then standard.period_yuan
        end as entitled_yuan_per_teacher,
        school.school_code is not null as is_rural_school,
        caliber.caliber_id
    from subsidy
    cross join caliber
    -- Every row counts twice: in its tier and in the programme's total.
    cross join (values (false), (true)) as tier_level (is_total)
    left join standard
        on
            subsidy.county_code = standard.county_code
            and subsidy.period = standard.period
            and subsidy.programme = standard.programme
            and subsidy.tier = standard.tier
    left join school
        on
            subsidy.county_code = school.county_code
            and subsidy.school_year = school.period
            and subsidy.school_code = school.school_code
            and caliber.caliber_id = school.caliber_id
            and (school.closed_on is null or subsidy.period_end < school.closed_on)
),

total as (
    select
        caliber_id,
        county_code,
        period,
        programme,
        tier,
        is_total,
        {{ sum_or_missing('teachers_entitled') }} as teachers_entitled_n,
        {{ sum_or_missing('teachers_paid') }} as teachers_paid_n,
        {{ sum_or_missing('due_yuan') }} as due_yuan,
        {{ sum_or_missing('paid_yuan') }} as paid_yuan,
        {{ sum_or_missing('arrears_yuan') }} as arrears_yuan,
        case
            when not bool_or(
                {{ is_lacking('teachers_entitled') }}
                or {{ is_lacking('standard_yuan_per_month') }}
                or {{ is_lacking('months') }}
            ) then coalesce(sum(teachers_entitled * standard_yuan_per_month * months), 0)
        end as due_recomputed_yuan,
        case
            when not bool_or(
                {{ is_lacking('teachers_entitled') }}
                or {{ is_lacking('months') }}
                or (teachers_entitled > 0 and entitled_yuan_per_teacher is null)
            ) then coalesce(sum(teachers_entitled * entitled_yuan_per_teacher), 0)
        end as entitled_yuan,
        case
            when not bool_or({{ is_lacking('teachers_entitled') }} or {{ is_lacking('months') }})
                then coalesce(sum(teachers_entitled * months), 0)
        end as entitled_teacher_months_n,
        case
            when not bool_or({{ is_lacking('teachers_paid') }} or {{ is_lacking('months') }})
                then coalesce(sum(teachers_paid * months), 0)
        end as paid_teacher_months_n,
        case
            when not bool_or(
                {{ is_lacking('teachers_entitled') }}
                or {{ is_lacking('teachers_paid') }}
                or {{ is_lacking('standard_yuan_per_month') }}
                or {{ is_lacking('months') }}
            ) then coalesce(sum((teachers_entitled - teachers_paid) * standard_yuan_per_month * months), 0)
        end as unpaid_teachers_yuan,
        -- Beyond what the period owes: arrears of an earlier one that were settled in it.
        case
            when not bool_or({{ is_lacking('due_yuan') }} or {{ is_lacking('paid_yuan') }})
                then coalesce(sum(greatest(paid_yuan - due_yuan, 0)), 0)
        end as paid_late_yuan,
        min(months) filter (where teachers_entitled > 0) as months_min_n,
        max(months) filter (where teachers_entitled > 0) as months_max_n,
        min(standard_yuan_per_month) as standard_min_yuan,
        max(standard_yuan_per_month) as standard_max_yuan,
        -- Rows that pay by another standard than the seed's, or pay where the seed knows none.
        count(*) filter (
            where teachers_entitled > 0 and standard_yuan_per_month is distinct from seed_yuan_per_month
        ) as off_standard_rows_n,
        case
            when not bool_or({{ is_lacking('teachers_paid') }})
                then count(distinct school_code) filter (where teachers_paid > 0)
        end as schools_paid_n,
        case
            when not bool_or({{ is_lacking('teachers_paid') }})
                then count(distinct school_code) filter (where teachers_paid > 0 and is_rural_school)
        end as rural_schools_covered_n,
        case
            when not bool_or(is_rural_school and {{ is_lacking('teachers_paid') }})
                then coalesce(sum(teachers_paid) filter (where is_rural_school), 0)
        end as rural_teachers_paid_n
    from tier_row
    group by caliber_id, county_code, period, programme, tier, is_total
),

-- A more remote tier must not be paid less than a nearer one of the same county and programme.
tier_order as (
    select
        total.county_code,
        total.period,
        total.programme,
        coalesce(bool_and(nearer.standard_max_yuan <= total.standard_min_yuan), true) as is_tier_order_respected
    from total
    inner join remoteness
        on total.programme = remoteness.programme and total.tier = remoteness.tier
    left join remoteness as nearer_rank
        on
            remoteness.programme = nearer_rank.programme
            and remoteness.remoteness_rank > nearer_rank.remoteness_rank
    left join total as nearer
        on
            total.caliber_id = nearer.caliber_id
            and total.county_code = nearer.county_code
            and total.period = nearer.period
            and total.programme = nearer.programme
            and nearer_rank.tier = nearer.tier
            and nearer.standard_max_yuan is not null
            and total.standard_min_yuan is not null
    where not total.is_total
    group by all
),

-- Programmes that a county has: a standard is set for it or its hardship category; the standard goes by the tier of the
-- school and its register has schools of such a tier; or the period before had teachers entitled to it.
expected_programme as (
    select
        county_code,
        period,
        programme
    from standard
    where is_of_county
    union distinct
    select
        filing.county_code,
        filing.period,
        standard.programme
    from filing
    inner join standard on filing.county_code = standard.county_code and filing.period = standard.period
    inner join {{ ref('stg_school') }} as registered
        on
            filing.county_code = registered.county_code
            and filing.school_year = registered.period
            and standard.tier = registered.subsidy_tier
            and {{ open_on('registered', 'filing.period_end') }}
    union distinct
    select
        filing.county_code,
        filing.period,
        before.programme
    from filing
    inner join subsidy as before
        on
            filing.county_code = before.county_code
            and before.period_end + 1 = filing.period_start
            and before.teachers_entitled > 0
),

reported_programme as (
    select distinct
        county_code,
        period,
        programme
    from subsidy
),

known_tier as (
    select
        programme,
        tier,
        false as is_total
    from {{ source('policy', 'subsidy_tiers') }}
    union distinct
    select
        programme,
        tier,
        is_total
    from total
    union distinct
    select
        programme,
        '合计' as tier,
        true as is_total
    from {{ source('policy', 'subsidy_tiers') }}
    union distinct
    -- An indicator's programme, though no standard is set and nobody reports it.
    select
        member as programme,
        '合计' as tier,
        true as is_total
    from {{ source('declared', 'indicator_subject') }}
    where dimension = 'programme'
),

-- Teachers of a school by the payroll of the year; one on the payroll with nobody in the caliber's stages has none.
school_payroll as (
    select
        county_code,
        period,
        school_code,
        caliber_id,
        case
            when not bool_or(is_counted and {{ is_lacking('teachers_average') }})
                then coalesce(sum(teachers_average) filter (where is_counted), 0)
        end as teachers_n
    from payroll
    group by all
),

-- Open rural schools that could be covered: those of the tier in the register, or all of them where there are no tiers.
rural_school as (
    select
        filing.county_code,
        filing.period,
        caliber.caliber_id,
        known_tier.programme,
        known_tier.tier,
        any_value(register.submission_id) as register_submission_id,
        any_value(register.received_at) as register_received_at,
        any_value(payroll_filing.submission_id) as payroll_submission_id,
        any_value(payroll_filing.received_at) as payroll_received_at,
        -- The payroll does not have them, or without a headcount: nobody can say how many teach there.
        count(*) filter (
            where school.school_code is not null
            and school_payroll.teachers_n is null
            and (known_tier.tier in ('合计', '不分档') or school.subsidy_tier = known_tier.tier)
        ) as schools_off_payroll_n,
        coalesce(sum(school_payroll.teachers_n) filter (
            where known_tier.tier in ('合计', '不分档') or school.subsidy_tier = known_tier.tier
        ), 0) as rural_teachers_n,
        count(school.school_code) filter (
            where known_tier.tier in ('合计', '不分档') or school.subsidy_tier = known_tier.tier
        ) as rural_schools_n
    from filing
    inner join {{ ref('stg_filing') }} as register
        on
            register.return_code = 'school'
            and register.is_in_force
            and filing.county_code = register.county_code
            and filing.school_year = register.period
    cross join known_tier
    cross join caliber
    left join school
        on
            filing.county_code = school.county_code
            and filing.school_year = school.period
            and caliber.caliber_id = school.caliber_id
            and (school.closed_on is null or filing.period_end < school.closed_on)
    left join {{ ref('stg_filing') }} as payroll_filing
        on
            payroll_filing.return_code = 'teacher_pay'
            and payroll_filing.is_in_force
            and filing.county_code = payroll_filing.county_code
            and filing.calendar_year = payroll_filing.period
    left join school_payroll
        on
            school.county_code = school_payroll.county_code
            and filing.calendar_year = school_payroll.period
            and school.school_code = school_payroll.school_code
            and caliber.caliber_id = school_payroll.caliber_id
    -- Where the county has changed since its register, which schools it has is not known: the term is missing.
    where filing.is_register_of_the_county is distinct from false
    group by all
)

select
    filing.county_code,
    filing.period,
    caliber.caliber_id,
    known_tier.programme,
    known_tier.tier,
    known_tier.is_total,
    filing.submission_id,
    filing.received_at,
    expected_programme.programme is not null as is_expected,
    case
        when expected_programme.programme is not null and reported_programme.programme is null
            then '未报' || known_tier.programme
        else ''
    end as lacking,
    rural_school.register_submission_id,
    rural_school.register_received_at,
    rural_school.payroll_submission_id,
    rural_school.payroll_received_at,
    remoteness.remoteness_rank,
    standard.yuan_per_month as seed_yuan_per_month,
    total.standard_min_yuan,
    total.standard_max_yuan,
    total.months_min_n,
    total.months_max_n,
    coalesce(tier_order.is_tier_order_respected, true) as is_tier_order_respected,
    coalesce(total.off_standard_rows_n, 0) as off_standard_rows_n,
    rural_school.rural_schools_n,
    cast(
        case
            when rural_school.payroll_submission_id is not null and rural_school.schools_off_payroll_n = 0
                then rural_school.rural_teachers_n
        end as decimal(38, 2)
    ) as rural_teachers_n,
    case
        when rural_school.payroll_submission_id is not null and rural_school.schools_off_payroll_n > 0
            then rural_school.schools_off_payroll_n || ' 所乡村学校在教师工资表中没有人数'
        else ''
    end as rural_teachers_lacking,
    {% for term in (
        'teachers_entitled_n', 'teachers_paid_n', 'due_yuan', 'paid_yuan', 'arrears_yuan', 'due_recomputed_yuan',
        'paid_teacher_months_n', 'schools_paid_n', 'entitled_yuan', 'entitled_teacher_months_n', 'unpaid_teachers_yuan',
        'paid_late_yuan',
    ) %}
        -- No row of the tier, though of the programme, or no such programme there: nothing was paid, a true zero.
        case
            when total.county_code is not null then total.{{ term }}
            when expected_programme.programme is null or reported_programme.programme is not null then 0
        end as {{ term }},
    {% endfor %}
    -- Coverage is of registered rural schools only, so it needs the register.
    case
        when rural_school.rural_schools_n is null then null
        when total.county_code is not null then total.rural_schools_covered_n
        when expected_programme.programme is null or reported_programme.programme is not null then 0
    end as rural_schools_covered_n,
    case
        when rural_school.rural_schools_n is null then null
        when total.county_code is not null then total.rural_teachers_paid_n
        when expected_programme.programme is null or reported_programme.programme is not null then 0
    end as rural_teachers_paid_n
from filing
cross join caliber
cross join known_tier
left join total
    on
        filing.county_code = total.county_code
        and filing.period = total.period
        and caliber.caliber_id = total.caliber_id
        and known_tier.programme = total.programme
        and known_tier.tier = total.tier
left join tier_order
    on
        filing.county_code = tier_order.county_code
        and filing.period = tier_order.period
        and known_tier.programme = tier_order.programme
left join standard
    on
        filing.county_code = standard.county_code
        and filing.period = standard.period
        and known_tier.programme = standard.programme
        and known_tier.tier = standard.tier
left join remoteness on known_tier.programme = remoteness.programme and known_tier.tier = remoteness.tier
left join rural_school
    on
        filing.county_code = rural_school.county_code
        and filing.period = rural_school.period
        and caliber.caliber_id = rural_school.caliber_id
        and known_tier.programme = rural_school.programme
        and known_tier.tier = rural_school.tier
{% for programmes in ('expected_programme', 'reported_programme') %}
    left join {{ programmes }}
        on
            filing.county_code = {{ programmes }}.county_code
            and filing.period = {{ programmes }}.period
            and known_tier.programme = {{ programmes }}.programme
{% endfor %}
