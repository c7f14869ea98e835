-- Both sides of pay parity for a county, by caliber. A null is a missing term: a filing absent, a needed cell not
-- reported, a school on the payroll that stands in no register, so that nobody can say whether it is public, a stage
-- that the register has and the payroll has not, or a category of staff without a row.
{% set components = pay_components() %}
with {{ pay_rows() }},

-- Schools on the payroll that no register has: how many, and the first ten by code.
unmatched as (
    select
        county_code,
        period,
        caliber_id,
        count(*) as unmatched_schools_n,
        string_agg(school_name || '（' || school_code || '）', '、' order by school_code) filter (where place_n <= 10)
        || case when count(*) > 10 then '等 ' || count(*) || ' 所' else '' end as unmatched_schools
    from (
        select
            county_code,
            period,
            caliber_id,
            school_code,
            min(school_name) as school_name,
            row_number() over (partition by county_code, period, caliber_id order by school_code) as place_n
        from teacher_row
        where organiser is null
        group by county_code, period, caliber_id, school_code
    ) as school_without_register
    group by all
),

-- Stages of the caliber of which the register has a school still open at the end of the year, and of which no row
-- stands on the payroll.
unreported_stage as (
    select
        school.county_code,
        left(school.period, 4) as period,
        stage_member.caliber_id,
        types.reported_stage as stage
    from {{ ref('stg_school') }} as school
    inner join {{ source('policy', 'school_type_stages') }} as types on school.school_type = types.school_type
    inner join {{ source('policy', 'caliber_members') }} as stage_member
        on stage_member.dimension = 'teacher_stage' and types.reported_stage = stage_member.member
    inner join {{ source('policy', 'caliber_members') }} as organiser_member
        on
            stage_member.caliber_id = organiser_member.caliber_id
            and organiser_member.dimension = 'teacher_organiser'
            and school.organiser = organiser_member.member
    left join teacher_row as reported
        on
            school.county_code = reported.county_code
            and left(school.period, 4) = reported.period
            and stage_member.caliber_id = reported.caliber_id
            and types.reported_stage = reported.stage
    where
        {{ open_on('school', "cast(left(school.period, 4) || '-12-31' as date)") }}
        and reported.stage is null
    group by all
),

-- Who must have a row and has none, by side.
unreported as (
    select
        'teacher' as side,
        county_code,
        period,
        caliber_id,
        '未报' || string_agg(stage, '、' order by stage desc) || '教师' as lacking
    from unreported_stage
    group by county_code, period, caliber_id
    union all
    select
        'civil_servant' as side,
        filing.county_code,
        filing.period,
        members.caliber_id,
        '未报' || string_agg(members.member, '和' order by members.member) as lacking
    from {{ ref('stg_filing') }} as filing
    inner join {{ source('policy', 'caliber_members') }} as members on members.dimension = 'civil_servant_category'
    left join civil_servant_row as reported
        on
            filing.county_code = reported.county_code
            and filing.period = reported.period
            and members.caliber_id = reported.caliber_id
            and members.member = reported.staff_category
    where filing.is_in_force and filing.return_code = 'civil_servant_pay' and reported.caliber_id is null
    group by filing.county_code, filing.period, members.caliber_id
),

component_sum as (
    {% for side, heads in (('teacher', 'teachers_average'), ('civil_servant', 'civil_servants_average')) %}
        select
            '{{ side }}' as side,
            county_code,
            period,
            caliber_id,
            {{ sum_or_missing(heads) }} as heads,
            unnest({{ components }}) as component,
            unnest({{ sums_or_missing(components) }}) as pay_yuan
        from {{ side }}_row
        group by side, county_code, period, caliber_id
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- Components answered 并入 whose figure lies, or may lie, on the other side of a caliber's border: what they hold
-- cannot be told from what another component holds, so the caliber's sum is a missing term. A cell that names no
-- column may stand in any component.
included_cell as (
    {% for side in ('teacher', 'civil_servant') %}
        select
            '{{ side }}' as side,
            county_code,
            period,
            caliber_id,
            unnest({{ components }}) as component,
            unnest([
                {% for component in components %}
                    json_extract_string(missing_codes, '$.{{ component }}'){{ ', ' if not loop.last }}
                {% endfor %}
            ]) as landed_code
        from {{ side }}_row
        where missing_codes like '%included_elsewhere%'
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

across_the_border as (
    select distinct
        cell.side,
        cell.county_code,
        cell.period,
        cell.caliber_id,
        own.component_name || '并入' || case
            when {{ included_in('cell.landed_code') }} is null then '（没有写明栏目）' else other.component_name
        end as words
    from included_cell as cell
    inner join {{ source('policy', 'pay_components') }} as own
        on cell.caliber_id = own.caliber_id and cell.component = own.component
    inner join {{ source('policy', 'pay_components') }} as other
        on
            cell.caliber_id = other.caliber_id
            and cell.component != other.component
            and coalesce({{ included_in('cell.landed_code') }} = other.component, true)
    where {{ code_alone('cell.landed_code') }} = 'included_elsewhere' and own.is_included != other.is_included
),

side_included as (
    select
        side,
        county_code,
        period,
        caliber_id,
        string_agg(words, '，' order by words) as because
    from across_the_border
    group by all
),

side_total as (
    select
        component_sum.side,
        component_sum.county_code,
        component_sum.period,
        component_sum.caliber_id,
        component_sum.heads,
        any_value(side_included.because) as because,
        case
            when not bool_or(component_sum.pay_yuan is null or side_included.because is not null)
                then sum(component_sum.pay_yuan)
        end as pay_yuan
    from component_sum
    left join side_included
        on
            component_sum.side = side_included.side
            and component_sum.county_code = side_included.county_code
            and component_sum.period = side_included.period
            and component_sum.caliber_id = side_included.caliber_id
    inner join {{ source('policy', 'pay_components') }} as pay_components
        on
            component_sum.caliber_id = pay_components.caliber_id
            and component_sum.component = pay_components.component
    where pay_components.is_included
    group by
        component_sum.side, component_sum.county_code, component_sum.period, component_sum.caliber_id,
        component_sum.heads
),

filing as (
    select
        county_code,
        period,
        max(submission_id) filter (where return_code = 'teacher_pay') as teacher_submission_id,
        max(submission_id) filter (where return_code = 'civil_servant_pay') as civil_servant_submission_id,
        max(received_at) filter (where return_code = 'teacher_pay') as teacher_received_at,
        max(received_at) filter (where return_code = 'civil_servant_pay') as civil_servant_received_at
    from {{ ref('stg_filing') }}
    where is_in_force and return_code in ('teacher_pay', 'civil_servant_pay')
    group by all
)

select
    filing.county_code,
    filing.period,
    caliber.caliber_id,
    filing.teacher_submission_id,
    filing.teacher_received_at,
    coalesce(unmatched.unmatched_schools_n, 0) as unmatched_schools_n,
    coalesce(unmatched.unmatched_schools, '') as unmatched_schools,
    concat_ws(
        '，',
        case when filing.teacher_submission_id is not null then teacher_lacks.lacking end,
        teacher.because
    ) as teacher_lacking,
    -- Without the headcount the pay stands for nothing, and the reverse: both terms of a side, or neither.
    cast(
        case
            when
                unmatched.county_code is null and teacher_lacks.lacking is null and teacher.pay_yuan is not null
                then teacher.heads
        end as decimal(38, 2)
    ) as teachers,
    cast(
        case
            when
                unmatched.county_code is null and teacher_lacks.lacking is null and teacher.heads is not null
                then teacher.pay_yuan
        end as decimal(38, 2)
    ) as teacher_pay_yuan,
    filing.civil_servant_submission_id,
    filing.civil_servant_received_at,
    concat_ws('，', civil_servant_lacks.lacking, civil_servant.because) as civil_servant_lacking,
    cast(
        case
            when civil_servant_lacks.lacking is null and civil_servant.pay_yuan is not null then civil_servant.heads
        end as decimal(38, 2)
    ) as civil_servants,
    cast(
        case
            when civil_servant_lacks.lacking is null and civil_servant.heads is not null then civil_servant.pay_yuan
        end as decimal(38, 2)
    ) as civil_servant_pay_yuan
from filing
cross join caliber
left join side_total as teacher
    on
        teacher.side = 'teacher'
        and filing.county_code = teacher.county_code
        and filing.period = teacher.period
        and caliber.caliber_id = teacher.caliber_id
left join unmatched
    on
        filing.county_code = unmatched.county_code
        and filing.period = unmatched.period
        and caliber.caliber_id = unmatched.caliber_id
left join side_total as civil_servant
    on
        civil_servant.side = 'civil_servant'
        and filing.county_code = civil_servant.county_code
        and filing.period = civil_servant.period
        and caliber.caliber_id = civil_servant.caliber_id
{% for side in ('teacher', 'civil_servant') %}
    left join unreported as {{ side }}_lacks
        on
            {{ side }}_lacks.side = '{{ side }}'
            and filing.county_code = {{ side }}_lacks.county_code
            and filing.period = {{ side }}_lacks.period
            and caliber.caliber_id = {{ side }}_lacks.caliber_id
{% endfor %}
