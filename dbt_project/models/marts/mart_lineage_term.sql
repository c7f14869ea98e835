-- Of which terms each figure is the sum: indicator, caliber and period on one side, and on the other the name of a term
-- that cells carry in mart_lineage_cell, with its sign. No county and no number stands here, so that it stays small;
-- which rows count (registers, stages, organisers, ages) is in the name of the term, out of the same tables of policy.
--
-- A term reads return.column|member|member. An indicator of indicators has the term indicator.<code> and no cells.
with part as (
    select distinct
        return_code,
        period as part_period,
        calendar_year,
        period_type,
        period_start
    from {{ ref('stg_expected_filing') }}
),

indicator as (
    select
        indicators.indicator_code,
        indicators.stage,
        indicators.measure,
        indicators.programme,
        calibers.caliber_id,
        register.member as register,
        part.part_period,
        part.calendar_year,
        part.period_type
    from {{ ref('indicators') }} as indicators
    inner join {{ source('policy', 'calibers') }} as calibers on indicators.caliber_kind = calibers.caliber_kind
    inner join part
        on
            indicators.return_code = part.return_code
            and calibers.valid_from <= part.period_start
            and (calibers.valid_to is null or calibers.valid_to > part.period_start)
    left join {{ source('policy', 'caliber_members') }} as register
        on calibers.caliber_id = register.caliber_id and register.dimension = 'population_register'
),

-- Single years of age; those that no return has a column or row for have no cells.
single_age as (
    select unnest(range(0, 26)) as age
),

-- Which column of the return is which side of a measure, with its sign.
enrolment_column (measure, role, column_name, sign) as (
    values
    ('gross', 'numerator', 'students_total', 1),
    ('gross', 'numerator', 'age_2_and_under', -1),
    ('gross_female', 'numerator', 'students_female', 1),
    ('gross_male', 'numerator', 'students_total', 1),
    ('gross_male', 'numerator', 'students_female', -1),
    ('gender_parity', 'numerator', 'students_female', 1),
    ('gender_parity', 'denominator', 'students_total', 1),
    ('gender_parity', 'denominator', 'students_female', -1)
),

population_column (measure, role, column_name) as (
    values
    ('gross', 'denominator', 'population_total'),
    ('net', 'denominator', 'population_total'),
    ('gross_female', 'denominator', 'population_female'),
    ('gross_male', 'denominator', 'population_male'),
    ('gender_parity', 'numerator_base', 'population_female'),
    ('gender_parity', 'denominator_base', 'population_male')
),

pay_side (measure, role, return_code, is_heads) as (
    values
    ('ratio', 'numerator', 'teacher_pay', false),
    ('ratio', 'numerator_base', 'teacher_pay', true),
    ('ratio', 'denominator', 'civil_servant_pay', false),
    ('ratio', 'denominator_base', 'civil_servant_pay', true),
    ('teacher_average', 'numerator', 'teacher_pay', false),
    ('teacher_average', 'denominator', 'teacher_pay', true),
    ('civil_servant_average', 'numerator', 'civil_servant_pay', false),
    ('civil_servant_average', 'denominator', 'civil_servant_pay', true)
),

-- Who is counted on a side of pay, by caliber: teachers of a stage and organiser, civil servants of a category.
pay_member as (
    select
        stage.caliber_id,
        'teacher_pay' as return_code,
        stage.member || '|' || organiser.member as members
    from {{ source('policy', 'caliber_members') }} as stage
    inner join {{ source('policy', 'caliber_members') }} as organiser
        on stage.caliber_id = organiser.caliber_id and organiser.dimension = 'teacher_organiser'
    where stage.dimension = 'teacher_stage'
    union all
    select
        caliber_id,
        'civil_servant_pay' as return_code,
        member as members
    from {{ source('policy', 'caliber_members') }}
    where dimension = 'civil_servant_category'
),

pay_column as (
    select
        pay_components.caliber_id,
        return_of_side.return_code,
        pay_components.component as column_name,
        false as is_heads
    from {{ source('policy', 'pay_components') }} as pay_components
    cross join (values ('teacher_pay'), ('civil_servant_pay')) as return_of_side (return_code)
    where pay_components.is_included
    union all
    select
        calibers.caliber_id,
        heads.return_code,
        heads.column_name,
        true as is_heads
    from {{ source('policy', 'calibers') }} as calibers
    cross join (
        values ('teacher_pay', 'teachers_average'), ('civil_servant_pay', 'civil_servants_average')
    ) as heads (return_code, column_name)
    where calibers.caliber_kind = 'pay'
),

subsidy_column (measure, role, column_name) as (
    values
    ('paid_share', 'numerator', 'paid_yuan'),
    ('paid_share', 'denominator', 'due_yuan'),
    ('teachers_paid_share', 'numerator', 'teachers_paid'),
    ('teachers_paid_share', 'denominator', 'teachers_entitled'),
    ('paid_monthly_average', 'numerator', 'paid_yuan'),
    ('paid_monthly_average', 'denominator', 'paid_teacher_months'),
    ('standard_monthly_average', 'numerator', 'due_by_standard'),
    ('standard_monthly_average', 'denominator', 'entitled_teacher_months')
),

term as (
    select
        indicator.*,
        enrolment_column.role,
        'enrolment.' || enrolment_column.column_name || '|' || reported_stages.reported_stage as term,
        enrolment_column.sign,
        indicator.part_period as source_period
    from indicator
    inner join enrolment_column on indicator.measure = enrolment_column.measure
    inner join {{ source('policy', 'stages') }} as stages on indicator.stage = stages.stage
    inner join {{ source('policy', 'reported_stages') }} as reported_stages
        on reported_stages.level between stages.level_from and stages.level_to
    where enrolment_column.column_name != 'age_2_and_under' or stages.under_3_excluded
    union all
    -- Those of the official ages in the stage or any higher one.
    select
        indicator.*,
        'numerator' as role,
        'enrolment.age_' || official.age || '|' || reported_stages.reported_stage as term,
        1 as sign,
        indicator.part_period as source_period
    from indicator
    inner join {{ source('policy', 'stages') }} as stages on indicator.stage = stages.stage
    inner join
        {{ source('policy', 'reported_stages') }} as reported_stages
        on stages.level_from <= reported_stages.level
    inner join single_age as official on official.age between stages.age_from and stages.age_to
    where indicator.measure = 'net'
    union all
    -- School year 2024-2025 stands against the people of calendar year 2024.
    select
        indicator.*,
        population_column.role,
        'population.' || population_column.column_name || '|' || indicator.register || '|' || official.age as term,
        1 as sign,
        indicator.calendar_year as source_period
    from indicator
    inner join population_column on indicator.measure = population_column.measure
    inner join {{ source('policy', 'stages') }} as stages on indicator.stage = stages.stage
    inner join single_age as official on official.age between stages.age_from and stages.age_to
    union all
    select
        indicator.*,
        pay_side.role,
        pay_side.return_code || '.' || pay_column.column_name || '|' || pay_member.members as term,
        1 as sign,
        indicator.part_period as source_period
    from indicator
    inner join pay_side on indicator.measure = pay_side.measure
    inner join pay_column
        on
            indicator.caliber_id = pay_column.caliber_id
            and pay_side.return_code = pay_column.return_code
            and pay_side.is_heads = pay_column.is_heads
    inner join pay_member
        on indicator.caliber_id = pay_member.caliber_id and pay_side.return_code = pay_member.return_code
    union all
    select
        indicator.*,
        side.role,
        'indicator.teacher_pay_ratio' as term,
        1 as sign,
        indicator.part_period as source_period
    from indicator
    cross join (values ('numerator'), ('denominator')) as side (role)
    where indicator.measure = 'compliant_counties'
    union all
    select
        indicator.*,
        subsidy_column.role,
        'rural_subsidy.' || subsidy_column.column_name || '|' || indicator.programme as term,
        1 as sign,
        indicator.part_period as source_period
    from indicator
    inner join subsidy_column on indicator.measure = subsidy_column.measure
    union all
    select
        indicator.*,
        side.role,
        side.counted || '|' || indicator.caliber_id
        || case when side.role = 'numerator' then '|' || indicator.programme else '' end as term,
        1 as sign,
        indicator.part_period as source_period
    from indicator
    inner join (
        values
        ('school_coverage', 'numerator', 'rural_subsidy.schools_covered'),
        ('school_coverage', 'denominator', 'school.rural_schools'),
        ('teacher_coverage', 'numerator', 'rural_subsidy.rural_teachers_paid'),
        ('teacher_coverage', 'denominator', 'teacher_pay.rural_teachers')
    ) as side (measure, role, counted)
        on indicator.measure = side.measure
    {% for return_code, declared in plain_returns().items() %}
        union all
        select
            indicator.*,
            side.role,
            '{{ return_code }}.' || side.column_name || '|' as term,
            1 as sign,
            indicator.part_period as source_period
        from indicator
        inner join (
            values
            {% for name, sides in declared.measures.items() %}
                ('{{ name }}', 'numerator', '{{ sides.numerator }}'),
                ('{{ name }}', 'denominator', '{{ sides.denominator }}'){{ ',' if not loop.last }}
            {% endfor %}
        ) as side (measure, role, column_name)
            on indicator.measure = side.measure
    {% endfor %}
),

dated as (
    select
        *,
        part_period as period
    from term
    union all
    select
        *,
        calendar_year as period
    from term
    where period_type in ('quarter', 'month') and measure in {{ measures_with('adds_up_over_a_year') }}
)

select
    indicator_code,
    caliber_id,
    period,
    part_period,
    role,
    term,
    source_period,
    cast(sign as integer) as sign
from dated
order by indicator_code, caliber_id, period, part_period, role, term
