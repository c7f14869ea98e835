-- XB01：名录与上学年名录相比。
with filing as ({{ asked_filings('school') }}),

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
)

{{ asked("'school_vanished'", 'earlier', 'is_gone', row_label='school_name', subject='school_code', detail='school') }}
