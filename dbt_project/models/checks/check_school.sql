-- XB01：名录与上学年名录相比。
with filing as (
    {{ asked_filings('school') }}
),

-- Every school that was open in last year's register, and whether this year's names it at all.
earlier as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        school.school_code,
        school.school_name,
        school.school_name || '（' || school.school_code || '）' as school,
        here.school_code is null as is_gone
    from filing
    inner join {{ ref('stg_school') }} as school
        on filing.county_code = school.county_code and filing.before_period = school.period
    left join {{ ref('stg_school') }} as here
        on
            filing.county_code = here.county_code
            and filing.period = here.period
            and school.school_code = here.school_code
    where school.closed_on is null
),

-- Every open school that an earlier register names, and whether one says that it was closed before.
known_before as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        school.sheet,
        school.source_row,
        school.school_code,
        school.school_name,
        school.school_name || '（' || school.school_code || '）' as school,
        max(earlier.closed_on) filter (where earlier.closed_on <= filing.starts_on) as closed_on
    from filing
    inner join {{ ref('stg_school') }} as school
        on filing.county_code = school.county_code and filing.period = school.period
    inner join {{ ref('stg_school') }} as earlier
        on
            school.county_code = earlier.county_code
            and school.school_code = earlier.school_code
            and school.period > earlier.period
    where school.closed_on is null
    group by
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        school.sheet,
        school.source_row,
        school.school_code,
        school.school_name
)

{{ asked("'reopened'", 'known_before', 'closed_on is not null', place='row', row_label='school_name',
    subject='school_code', column_name="'school_code'", value_text='school_code',
    expected_text='cast(closed_on as string)', detail='school') }}
union all
{{ asked("'school_vanished'", 'earlier', 'is_gone', row_label='school_name', subject='school_code', detail='school') }}
