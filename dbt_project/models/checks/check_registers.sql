-- Does the school register (XB01) know who reports, and do all report whom it knows? Of enrolment, pay and subsidies.
with tiered_programme as (
    select distinct programme
    from {{ source('policy', 'subsidy_tiers') }}
    where tier != '不分档'
),

reported as (
    select
        'enrolment' as return_code,
        county_code,
        period,
        sheet,
        source_row,
        school_code,
        school_name,
        stage,
        school_code || '/' || stage as subject,
        school_name || '（' || stage || '）' as row_label,
        coalesce(students_total > 0, true) as is_reporting,
        true as is_for_register
    from {{ ref('stg_enrolment') }}
    union all
    select
        'teacher_pay' as return_code,
        county_code,
        period,
        sheet,
        source_row,
        school_code,
        school_name,
        stage,
        school_code || '/' || stage as subject,
        school_name || '（' || stage || '）' as row_label,
        coalesce(teachers_average > 0, true) as is_reporting,
        true as is_for_register
    from {{ ref('stg_teacher_pay') }}
    union all
    select
        'rural_subsidy' as return_code,
        subsidy.county_code,
        subsidy.period,
        subsidy.sheet,
        subsidy.source_row,
        subsidy.school_code,
        subsidy.school_name,
        cast(null as string) as stage,
        subsidy.school_code || '/' || subsidy.programme || '/' || subsidy.tier as subject,
        subsidy.school_name || '（' || subsidy.programme || '）' as row_label,
        coalesce(subsidy.teachers_entitled > 0, true) as is_reporting,
        tiered.programme is not null as is_for_register
    from {{ ref('stg_rural_subsidy') }} as subsidy
    left join tiered_programme as tiered on subsidy.programme = tiered.programme
),

filing as (
    select
        *,
        -- Enrolment is of the first day; pay and subsidies of every month, so a school that closes in the course is
        -- left in peace.
        case when return_code = 'enrolment' then starts_on else ends_on end as counts_on
    from {{ ref('int_asked_filing') }}
    where return_code in ('enrolment', 'teacher_pay', 'rural_subsidy')
),

register_filing as (
    {{ asked_filings('school') }}
),

-- The register of each school year, with the schools that only the year before names (closed meanwhile).
registered as (
    select
        county_code,
        period as school_year,
        school_code
    from {{ ref('stg_school') }}
    union
    select
        register_filing.county_code,
        register_filing.period as school_year,
        earlier.school_code
    from register_filing
    inner join {{ ref('stg_school') }} as earlier
        on
            register_filing.county_code = earlier.county_code
            and register_filing.before_period = earlier.period
),

-- The last closing day that any register in force names.
closing as (
    select
        county_code,
        school_code,
        max(closed_on) as closed_on
    from {{ ref('stg_school') }}
    where closed_on is not null
    group by county_code, school_code
),

known as (
    select
        reported.*,
        filing.submission_id,
        registered.school_code is not null as is_known,
        closing.closed_on,
        coalesce(reported.is_reporting and closing.closed_on <= filing.starts_on, false) as is_closed,
        reported.school_name || '（' || reported.school_code || '）' as school
    from reported
    inner join filing
        on
            reported.return_code = filing.return_code
            and reported.county_code = filing.county_code
            and reported.period = filing.period
    inner join register_filing
        on filing.county_code = register_filing.county_code and filing.school_year = register_filing.period
    left join registered
        on
            reported.county_code = registered.county_code
            and filing.school_year = registered.school_year
            and reported.school_code = registered.school_code
    left join closing
        on reported.county_code = closing.county_code and reported.school_code = closing.school_code
),

-- Who should report, in the register of the school year and not closed by the day that counts: every school its
-- enrolment, every public school of compulsory education its pay, every school with a tier its subsidies; types of
-- school that the rule leaves out need not.
expected as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        school.school_code,
        school.school_name,
        school.school_type,
        school.organiser
    from filing
    inner join {{ ref('stg_school') }} as school
        on filing.county_code = school.county_code and filing.school_year = school.period
    left join closing
        on school.county_code = closing.county_code and school.school_code = closing.school_code
    where
        (closing.closed_on is null or closing.closed_on > filing.counts_on)
        and not exists (
            select 1
            from {{ source('declared', 'check_parameter') }} as left_out
            where
                left_out.return_code = filing.return_code
                and left_out.question = 'register'
                and left_out.name = 'without'
                and left_out.word = school.school_type
        )
        and case filing.return_code
            when 'enrolment' then true
            when 'teacher_pay'
                then
                    school.organiser in ({{ default_members('pay', 'teacher_organiser') }})
                    and school.school_type in ({{ default_members('rural', 'rural_school_type') }})
            else school.subsidy_tier is not null
        end
),

-- Boarders of a school that the register of the school year says has none.
boarding as (
    select
        pupil.return_code,
        pupil.county_code,
        pupil.period,
        pupil.submission_id,
        pupil.sheet,
        pupil.source_row,
        pupil.boarders,
        pupil.school_code || '/' || pupil.stage as subject,
        pupil.school_name || '（' || pupil.stage || '）' as row_label,
        school.boarding = '否' and pupil.boarders > least.value as are_unknown
    from ({{ asked_rows('enrolment') }}) as pupil
    inner join {{ ref('stg_school') }} as school
        on
            pupil.county_code = school.county_code
            and pupil.school_year = school.period
            and pupil.school_code = school.school_code
    inner join {{ source('declared', 'check_parameter') }} as least
        on least.return_code = 'enrolment' and least.question = 'boarders' and least.name = 'persons'
),

reported_school as (
    select distinct
        return_code,
        county_code,
        period,
        school_code
    from reported
    where is_for_register
),

reported_stage as (
    select distinct
        return_code,
        county_code,
        period,
        stage
    from reported
    where stage is not null
),

-- Schools of stages that the return leaves out altogether are one question (stage_missing), not one each.
left_out as (
    select
        expected.return_code,
        expected.county_code,
        expected.period,
        expected.school_code
    from expected
    inner join {{ source('policy', 'school_type_stages') }} as of_type on expected.school_type = of_type.school_type
    left join reported_stage
        on
            expected.return_code = reported_stage.return_code
            and expected.county_code = reported_stage.county_code
            and expected.period = reported_stage.period
            and of_type.reported_stage = reported_stage.stage
    where expected.return_code != 'rural_subsidy'
    group by expected.return_code, expected.county_code, expected.period, expected.school_code
    having count(reported_stage.stage) = 0
),

wanted as (
    select
        expected.*,
        reported_school.school_code is null as is_absent,
        expected.school_name || '（' || expected.school_code || '）' as school
    from expected
    left join reported_school
        on
            expected.return_code = reported_school.return_code
            and expected.county_code = reported_school.county_code
            and expected.period = reported_school.period
            and expected.school_code = reported_school.school_code
    left join left_out
        on
            expected.return_code = left_out.return_code
            and expected.county_code = left_out.county_code
            and expected.period = left_out.period
            and expected.school_code = left_out.school_code
    where left_out.school_code is null
),

-- Of pay, the stages and organisers that parity counts.
stage_school as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        of_type.reported_stage as stage,
        min_by(school.school_name, school.school_code) as school_name,
        count(*) as schools_n
    from filing
    inner join {{ ref('stg_school') }} as school
        on filing.county_code = school.county_code and filing.school_year = school.period
    inner join {{ source('policy', 'school_type_stages') }} as of_type on school.school_type = of_type.school_type
    where
        (school.closed_on is null or school.closed_on > filing.counts_on)
        and (
            filing.return_code = 'enrolment'
            or (
                filing.return_code = 'teacher_pay'
                and school.organiser in ({{ default_members('pay', 'teacher_organiser') }})
                and of_type.reported_stage in ({{ default_members('pay', 'teacher_stage') }})
            )
        )
    group by
        filing.return_code, filing.county_code, filing.period, filing.submission_id, of_type.reported_stage
),

stage as (
    select
        stage_school.*,
        reported_stage.stage is null as is_absent,
        '“' || stage_school.school_name || '”'
        || case
            when stage_school.schools_n > 1 then '等 ' || cast(stage_school.schools_n as string) || ' 所学校' else ''
        end as schools
    from stage_school
    left join reported_stage
        on
            stage_school.return_code = reported_stage.return_code
            and stage_school.county_code = reported_stage.county_code
            and stage_school.period = reported_stage.period
            and stage_school.stage = reported_stage.stage
)

{{ asked("'not_in_register'", 'known', 'not is_known', place='row', row_label='row_label', subject='subject',
    column_name="'school_code'", value_text='school_code', detail='school') }}
union all
{{ asked("'closed'", 'known', 'is_closed', place='row', condition='is_known', row_label='row_label', subject='subject',
    column_name="'school_code'", value_text='school_code', expected_text='cast(closed_on as string)', detail='school') }}
union all
{{ asked("'boarders'", 'boarding', 'are_unknown', place='row', row_label='row_label', subject='subject',
    column_name="'boarders'", value='boarders') }}
union all
{{ asked("'register'", 'wanted', 'is_absent', row_label='school_name', subject='school_code', detail='school') }}
union all
{{ asked("'stage_missing'", 'stage', 'is_absent', row_label='stage', subject='stage', value_text='stage',
    detail='schools') }}
