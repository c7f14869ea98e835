-- XB06：与上期相比，与工资表、名录相比，与政策相比。
with {{ check_parameters('rural_subsidy', [
    ('change_heads', 'share'), ('change_heads', 'persons'), ('change_due', 'share'), ('change_due', 'yuan'),
    ('heads', 'share'), ('heads', 'persons'),
]) }},

{{ units_in_doubt('rural_subsidy') }},

filing as (
    {{ asked_filings('rural_subsidy') }}
),

subsidy as (
    select
        subsidy.*,
        subsidy.school_code || '/' || subsidy.programme || '/' || subsidy.tier as subject,
        subsidy.school_name || '（' || subsidy.programme || '）' as row_label,
        coalesce(subsidy.teachers_entitled, subsidy.teachers_paid) as heads
    from ({{ asked_rows('rural_subsidy') }}) as subsidy
),

-- Teachers entitled and yuan due by programme.
programme as (
    select
        return_code,
        county_code,
        period,
        before_period,
        submission_id,
        programme,
        {{ sum_of_all('teachers_entitled') }} as heads,
        {{ sum_of_all('due_yuan') }} as due_yuan
    from subsidy
    group by return_code, county_code, period, before_period, submission_id, programme
),

changed as (
    select
        programme.*,
        earlier.heads as heads_before,
        earlier.due_yuan as due_yuan_before,
        case
            when {{ unit_is_sure('programme', 'teachers_entitled') }}
                then {{ far_apart(
                    'programme.heads', 'earlier.heads', 'parameter.change_heads_share', 'parameter.change_heads_persons'
                ) }}
        end as are_heads_far,
        case
            when {{ unit_is_sure('programme', 'due_yuan') }}
                then {{ far_apart(
                    'programme.due_yuan', 'earlier.due_yuan', 'parameter.change_due_share', 'parameter.change_due_yuan'
                ) }}
        end as is_due_far
    from programme
    cross join parameter
    inner join programme as earlier
        on
            programme.county_code = earlier.county_code
            and programme.before_period = earlier.period
            and programme.programme = earlier.programme
),

-- Teachers entitled beside all on the school's payroll of the year. Those of 三区人才计划 stay on the payroll of the
-- school that sends them.
payroll as (
    select
        county_code,
        period as calendar_year,
        school_code,
        {{ sum_of_all('teachers_average') }} as teachers
    from {{ ref('stg_teacher_pay') }}
    group by county_code, period, school_code
),

entitled as (
    select
        return_code,
        county_code,
        period,
        calendar_year,
        submission_id,
        school_code,
        programme,
        min_by(subject, source_row) as subject,
        min_by(row_label, source_row) as row_label,
        {{ sum_of_all('heads') }} as heads,
        {{ rows_summed(adjacent=true) }}
    from subsidy
    where programme != '三区人才计划'
    group by return_code, county_code, period, calendar_year, submission_id, school_code, programme
),

staffed as (
    select
        entitled.*,
        payroll.teachers,
        entitled.heads > payroll.teachers * (1 + parameter.heads_share) + parameter.heads_persons as are_too_many
    from entitled
    cross join parameter
    inner join payroll
        on
            entitled.county_code = payroll.county_code
            and entitled.calendar_year = payroll.calendar_year
            and entitled.school_code = payroll.school_code
),

-- The tier of a school in the register of the school year; of one that only the year before names, the one there.
register_filing as (
    {{ asked_filings('school') }}
),

registered as (
    select
        register_filing.county_code,
        register_filing.period as school_year,
        school.school_code,
        case
            when count(*) filter (where school.period = register_filing.period) > 0
                then max(school.subsidy_tier) filter (where school.period = register_filing.period)
            else max(school.subsidy_tier)
        end as tier
    from register_filing
    inner join {{ ref('stg_school') }} as school
        on
            register_filing.county_code = school.county_code
            and school.period in (register_filing.period, register_filing.before_period)
    group by register_filing.county_code, register_filing.period, school.school_code
),

tiered_programme as (
    select distinct programme
    from {{ source('policy', 'subsidy_tiers') }}
    where tier != '不分档'
),

category_programme as (
    select distinct programme
    from {{ source('policy', 'subsidy_tiers') }}
    where scope_code like 'hardship:%'
),

tier as (
    select
        subsidy.*,
        coalesce(registered.tier, '不适用') as registered_tier,
        coalesce(subsidy.tier != registered.tier, true) as is_other_tier
    from subsidy
    inner join registered
        on
            subsidy.county_code = registered.county_code
            and subsidy.school_year = registered.school_year
            and subsidy.school_code = registered.school_code
    inner join tiered_programme on subsidy.programme = tiered_programme.programme
),

-- The standards that hold for a county on the last day of a period: its own, that of its category, the city's.
standard as (
    select
        filing.county_code,
        filing.period,
        tier.programme,
        tier.tier,
        tier.yuan_per_month,
        tier.valid_from,
        tier.scope_code like 'hardship:%' or tier.scope_code = filing.county_code as is_of_county,
        case
            when tier.scope_code = filing.county_code then 1
            when tier.scope_code like 'hardship:%' then 2
            else 3
        end as scope_order
    from filing
    inner join {{ source('policy', 'subsidy_tiers') }} as tier
        on
            tier.scope_code in (filing.county_code, 'hardship:' || filing.hardship_category, filing.city_code)
            and filing.ends_on >= tier.valid_from
            and (tier.valid_to is null or filing.ends_on < tier.valid_to)
),

first_standard as (
    select *
    from standard
    qualify
        row_number() over (partition by county_code, period, programme, tier order by scope_order asc, valid_from desc)
        = 1
),

judged as (
    select
        subsidy.*,
        standard.yuan_per_month,
        subsidy.programme || '（' || subsidy.tier || '）' as words,
        category_programme.programme is not null as is_by_category
    from subsidy
    left join category_programme on subsidy.programme = category_programme.programme
    left join first_standard as standard
        on
            subsidy.county_code = standard.county_code
            and subsidy.period = standard.period
            and subsidy.programme = standard.programme
            and subsidy.tier = standard.tier
),

-- Programmes that the county has, and why.
reason as (
    select distinct
        county_code,
        period,
        programme,
        1 as ordinal,
        '文件规定了本县（市、区）该项目的标准' as reason
    from standard
    where is_of_county
    union all
    select distinct
        standard.county_code,
        standard.period,
        standard.programme,
        2 as ordinal,
        '名录中有按档次享受该项目的学校' as reason
    from standard
    inner join filing on standard.county_code = filing.county_code and standard.period = filing.period
    inner join {{ ref('stg_school') }} as school
        on
            filing.county_code = school.county_code
            and filing.school_year = school.period
            and standard.tier = school.subsidy_tier
    where school.closed_on is null or school.closed_on > filing.ends_on
    union all
    select distinct
        filing.county_code,
        filing.period,
        earlier.programme,
        3 as ordinal,
        '上期有应发人员' as reason
    from filing
    inner join subsidy as earlier
        on filing.county_code = earlier.county_code and filing.before_period = earlier.period
    where earlier.teachers_entitled > 0
),

wanted as (
    select
        filing.*,
        reason.programme,
        reason.reason,
        programme.programme is null as is_absent
    from (
        select
            county_code,
            period,
            programme,
            min_by(reason, ordinal) as reason
        from reason
        group by county_code, period, programme
    ) as reason
    inner join filing on reason.county_code = filing.county_code and reason.period = filing.period
    left join programme
        on
            reason.county_code = programme.county_code
            and reason.period = programme.period
            and reason.programme = programme.programme
)

{{ asked("'change_heads'", 'changed', 'are_heads_far', subject='programme', value='heads', expected='heads_before',
    detail='programme') }}
union all
{{ asked("'change_due'", 'changed', 'is_due_far', subject='programme', value='due_yuan', expected='due_yuan_before',
    detail='programme') }}
union all
{{ asked("'heads'", 'staffed', 'are_too_many', place='rows', row_label='row_label', subject='subject',
    column_name="'teachers_entitled'", value='heads', expected='teachers') }}
union all
{{ asked("'tier'", 'tier', 'is_other_tier', place='row', row_label='row_label', subject='subject',
    column_name="'tier'", value_text='tier', expected_text='registered_tier') }}
union all
{{ asked(
    "'hardship_category'", 'judged', "case when hardship_category = '无' then heads != 0 else false end", place='row',
    condition='is_by_category and hardship_category is not null', row_label='row_label', subject='subject',
    column_name="'programme'", value_text='programme', expected_text='hardship_category'
) }}
union all
{{ asked(
    "'standard'", 'judged', 'standard_yuan_per_month != yuan_per_month', place='row',
    condition='yuan_per_month is not null and heads > 0', row_label='row_label', subject='subject',
    column_name="'standard_yuan_per_month'", value='standard_yuan_per_month', expected='yuan_per_month',
    detail='words'
) }}
union all
{{ asked("'programme_missing'", 'wanted', 'is_absent', row_label='programme', subject='programme',
    value_text='reason', detail='programme') }}
