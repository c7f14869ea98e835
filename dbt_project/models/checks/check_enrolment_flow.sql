-- XB02：本学年与上学年相比：各校在校生、各年级升级、小学升初中。
with {{ check_parameters('enrolment', [
    ('change_students_total', 'share'), ('change_students_total', 'persons'), ('cohort_flow', 'share'),
    ('cohort_flow', 'persons'), ('transition', 'low'), ('transition', 'high'),
    ('graduates', 'share'), ('graduates', 'persons'),
]) }},

{{ units_in_doubt('enrolment') }},

pupil as (
    {{ asked_rows('enrolment') }}
),

-- Pupils of the schools that have closed since the period before: what another school gains by no more than these is
-- explained.
closed as (
    select
        earlier.county_code,
        earlier.stage,
        now.period,
        sum(earlier.students_total) as students
    from {{ ref('stg_school') }} as school
    inner join {{ ref('int_asked_filing') }} as now
        on school.county_code = now.county_code and now.return_code = 'enrolment' and school.closed_on <= now.starts_on
    inner join pupil as earlier
        on
            now.county_code = earlier.county_code
            and now.before_period = earlier.period
            and school.school_code = earlier.school_code
            and school.closed_on > earlier.starts_on
    -- The register of the year, or that of the year before, tells of it.
    where school.period in (now.school_year, now.before_period)
    group by earlier.county_code, earlier.stage, now.period
),

-- A school and stage beside itself in the period before.
changed as (
    select
        pupil.*,
        earlier.students_total as students_before,
        pupil.school_code || '/' || pupil.stage as subject,
        pupil.school_name || '（' || pupil.stage || '）' as row_label,
        {{ far_apart(
            'pupil.students_total', 'earlier.students_total', 'parameter.change_students_total_share',
            'parameter.change_students_total_persons'
        ) }}
        and not coalesce(
            pupil.students_total - earlier.students_total between 1 and closed.students, false
        ) as is_changed
    from pupil
    cross join parameter
    inner join pupil as earlier
        on
            pupil.county_code = earlier.county_code
            and pupil.before_period = earlier.period
            and pupil.school_code = earlier.school_code
            and pupil.stage = earlier.stage
    left join closed
        on pupil.county_code = closed.county_code and pupil.period = closed.period and pupil.stage = closed.stage
    where {{ unit_is_sure('pupil', 'students_total') }}
),

-- Pupils by grade, as of the grade that they are in a year later.
summand as (
    select
        county_code,
        period,
        before_period,
        submission_id,
        sheet,
        source_row,
        stage,
        school_code,
        school_name,
        {{ counted('grade_1') }} as grade_1,
        {{ counted('grade_2') }} as grade_2,
        {{ counted('grade_3') }} as grade_3,
        {{ counted('grade_4') }} as grade_4,
        {{ counted('grade_5') }} as grade_5,
        {{ counted('grade_6') }} as grade_6
    from pupil
),

in_grade as (
    {%- for grade in range(1, 7) %}
        select
            county_code,
            period,
            before_period,
            submission_id,
            sheet,
            source_row,
            stage,
            school_code,
            school_name,
            {{ grade }} as grade,
            grade_{{ grade }} as pupils
        from summand
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- Only where the county reported the stage in both periods, and a grade that either period has anybody in: one that the
-- stage does not have is reported as zero, year after year.
grade_there_is as (
    select
        now.county_code,
        now.period,
        now.submission_id,
        now.before_period,
        now.stage,
        now.grade
    from in_grade as now
    inner join (
        select distinct
            county_code,
            period,
            stage
        from pupil
    ) as earlier_stage
        on
            now.county_code = earlier_stage.county_code
            and now.before_period = earlier_stage.period
            and now.stage = earlier_stage.stage
    left join (
        select distinct
            county_code,
            period,
            stage,
            grade
        from in_grade
        where pupils > 0
    ) as earlier_grade
        on
            now.county_code = earlier_grade.county_code
            and now.before_period = earlier_grade.period
            and now.stage = earlier_grade.stage
            and now.grade = earlier_grade.grade
    where
        now.grade > 1
        and now.stage not in (
            select left_out.word
            from {{ source('declared', 'check_parameter') }} as left_out
            where
                left_out.return_code = 'enrolment' and left_out.question = 'cohort_flow' and left_out.name = 'without'
        )
    group by now.county_code, now.period, now.submission_id, now.before_period, now.stage, now.grade
    having coalesce(max(now.pupils), 0) > 0 or count(earlier_grade.grade) > 0
),

-- School by school, over the county, where transfers between its schools cancel. A school that was not there had
-- nobody; a cell that was not reported stays missing.
school_grade as (
    select
        flow.county_code,
        flow.period,
        flow.submission_id,
        flow.stage,
        flow.grade,
        school.school_code,
        max(school.school_name) filter (where school.is_now) as name_now,
        max(school.school_name) as name_ever,
        max(school.sheet) filter (where school.is_now) as sheet,
        max(school.source_row) filter (where school.is_now) as source_row,
        case
            when count(*) filter (where school.is_now) = 0 then 0
            else max(school.pupils) filter (where school.is_now)
        end as pupils,
        case
            when count(*) filter (where not school.is_now) = 0 then 0
            else max(school.pupils) filter (where not school.is_now)
        end as pupils_before
    from grade_there_is as flow
    inner join (
        select
            county_code,
            period,
            stage,
            grade,
            school_code,
            school_name,
            sheet,
            source_row,
            pupils,
            true as is_now
        from in_grade
        union all
        select
            county_code,
            period,
            stage,
            grade + 1 as grade,
            school_code,
            school_name,
            sheet,
            source_row,
            pupils,
            false as is_now
        from in_grade
    ) as school
        on
            flow.county_code = school.county_code
            and flow.stage = school.stage
            and flow.grade = school.grade
            and case when school.is_now then flow.period else flow.before_period end = school.period
    group by flow.county_code, flow.period, flow.submission_id, flow.stage, flow.grade, school.school_code
),

flow as (
    select
        county_code,
        period,
        submission_id,
        stage,
        grade,
        {{ sum_of_all('pupils') }} as pupils,
        {{ sum_of_all('pupils_before') }} as pupils_before,
        sum(pupils - pupils_before) as moved,
        {{ rows_summed() }}
    from school_grade
    group by county_code, period, submission_id, stage, grade
),

-- The school in which most of the change lies.
most_moved as (
    select
        school_grade.county_code,
        school_grade.period,
        school_grade.stage,
        school_grade.grade,
        coalesce(school_grade.name_now, school_grade.name_ever) as school_name,
        school_grade.pupils - school_grade.pupils_before as moved
    from school_grade
    inner join flow
        on
            school_grade.county_code = flow.county_code
            and school_grade.period = flow.period
            and school_grade.stage = flow.stage
            and school_grade.grade = flow.grade
    qualify
        row_number() over (
            partition by school_grade.county_code, school_grade.period, school_grade.stage, school_grade.grade
            order by
                (school_grade.pupils - school_grade.pupils_before) * case when flow.moved < 0 then -1 else 1 end desc
                nulls last,
                school_grade.school_code asc
        ) = 1
),

-- Who left beside the last grade of the period before: the highest that the county had anybody in.
last_grade as (
    select
        county_code,
        period,
        stage,
        max(grade) as grade
    from in_grade
    where pupils > 0
    group by county_code, period, stage
),

leaving as (
    select
        in_grade.county_code,
        in_grade.period,
        in_grade.stage,
        {{ sum_of_all('in_grade.pupils') }} as pupils
    from in_grade
    inner join last_grade
        on
            in_grade.county_code = last_grade.county_code
            and in_grade.period = last_grade.period
            and in_grade.stage = last_grade.stage
            and in_grade.grade = last_grade.grade
    group by in_grade.county_code, in_grade.period, in_grade.stage
),

graduated as (
    select
        return_code,
        county_code,
        period,
        before_period,
        submission_id,
        stage,
        stage || '各校合计' as row_label,
        {{ sum_or_missing('graduates_last_year') }} as graduates,
        {{ rows_summed() }}
    from pupil
    where stage != '学前'
    group by return_code, county_code, period, before_period, submission_id, stage
),

graduates as (
    select
        graduated.*,
        leaving.pupils as leaving,
        graduated.graduates > leaving.pupils + parameter.graduates_persons
        or graduated.graduates
        < leaving.pupils * (1 - parameter.graduates_share) - parameter.graduates_persons as is_far
    from graduated
    cross join parameter
    inner join leaving
        on
            graduated.county_code = leaving.county_code
            and graduated.before_period = leaving.period
            and graduated.stage = leaving.stage
    where {{ unit_is_sure('graduated', 'graduates_last_year') }}
),

-- What a grade is called in a stage: 中班 is the second of 学前.
grade_name as (
    select
        column_name,
        of_member as stage,
        label
    from {{ source('declared', 'check_column') }}
    where return_code = 'enrolment'
),

cohort as (
    select
        flow.*,
        'enrolment' as return_code,
        'grade_' || cast(flow.grade as string) as column_name,
        flow.stage || '/' || cast(flow.grade as string) || '年级' as subject,
        flow.stage || '各校合计' as row_label,
        coalesce(now_called.label, now_plain.label) as column_label,
        flow.stage || '由' || coalesce(then_called.label, then_plain.label) || '升'
        || coalesce(now_called.label, now_plain.label) || '，“' || most_moved.school_name || '”变化最大（'
        || case when most_moved.moved > 0 then '+' else '' end || cast(most_moved.moved as string) || '）' as words,
        {{ far_apart(
            'flow.pupils', 'flow.pupils_before', 'parameter.cohort_flow_share', 'parameter.cohort_flow_persons'
        ) }} as is_broken_off
    from flow
    cross join parameter
    inner join most_moved
        on
            flow.county_code = most_moved.county_code
            and flow.period = most_moved.period
            and flow.stage = most_moved.stage
            and flow.grade = most_moved.grade
    left join grade_name as now_called
        on 'grade_' || cast(flow.grade as string) = now_called.column_name and flow.stage = now_called.stage
    left join grade_name as now_plain
        on 'grade_' || cast(flow.grade as string) = now_plain.column_name and now_plain.stage = ''
    left join grade_name as then_called
        on 'grade_' || cast(flow.grade - 1 as string) = then_called.column_name and flow.stage = then_called.stage
    left join grade_name as then_plain
        on 'grade_' || cast(flow.grade - 1 as string) = then_plain.column_name and then_plain.stage = ''
    where {{ unit_is_sure('flow', 'students_total') }}
),

-- New pupils of junior secondary beside the last grade of primary in the period before.
transition_term as (
    select
        county_code,
        period,
        max(before_period) as before_period,
        max(submission_id) as submission_id,
        case
            when count(*) filter (where stage = '初中' and {{ counted('new_entrants') }} is null) = 0
                then sum(case when stage = '初中' then {{ counted('new_entrants') }} end)
        end as entering,
        case
            when count(*) filter (where stage = '小学' and {{ counted('grade_6') }} is null) = 0
                then sum(case when stage = '小学' then {{ counted('grade_6') }} end)
        end as leaving
    from pupil
    group by county_code, period
),

transition as (
    select
        now.county_code,
        now.period,
        now.submission_id,
        'enrolment' as return_code,
        parameter.transition_low as low,
        parameter.transition_high as high,
        {{ rounded_quotient('now.entering * 100', 'earlier.leaving', 2) }} as value,
        '初中招生 ' || cast(now.entering as string) || ' 人，上学年小学六年级 ' || cast(earlier.leaving as string)
        || ' 人' as words
    from transition_term as now
    cross join parameter
    inner join transition_term as earlier
        on now.county_code = earlier.county_code and now.before_period = earlier.period
    where {{ unit_is_sure('now', 'students_total') }}
)

{{ asked("'change_students_total'", 'changed', 'is_changed', place='row', row_label='row_label', subject='subject',
    value='students_total', expected='students_before') }}
union all
{{ asked("'cohort_flow'", 'cohort', 'is_broken_off', place='rows', row_label='row_label', subject='subject',
    column_name='column_name', column_label='column_label', value='pupils', expected='pupils_before', detail='words') }}
union all
{{ asked("'graduates'", 'graduates', 'is_far', place='rows', row_label='row_label', subject='stage',
    column_name="'graduates_last_year'", value='graduates', expected='leaving', detail='stage') }}
union all
{{ asked("'transition'", 'transition', 'value not between low and high', subject="'初中'", value='value',
    expected=bound_crossed('value', 'low', 'high'), detail='words') }}
