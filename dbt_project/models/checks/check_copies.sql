-- Of any return: is it a copy of the period before, or of another county; does another county report its schools?
with digest as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        filing.before_period,
        filing.before_label,
        digest.rows_n,
        digest.cells_n,
        digest.rows_digest
    from {{ ref('int_asked_filing') }} as filing
    inner join {{ source('landing', 'filing_digest') }} as digest
        on
            filing.submission_id = digest.submission_id
            and filing.screening_seq = digest.screening_seq
            and filing.return_code = digest.return_code
            and filing.county_code = digest.county_code
            and filing.period = digest.period
),

repeated as (
    select
        digest.*,
        digest.rows_n = earlier.rows_n and digest.rows_digest = earlier.rows_digest as is_repeated
    from digest
    inner join digest as earlier
        on
            digest.return_code = earlier.return_code
            and digest.county_code = earlier.county_code
            and digest.before_period = earlier.period
    inner join {{ source('declared', 'check_parameter') }} as least
        on
            digest.return_code = least.return_code
            and least.question = 'exact_copy'
            and least.name = 'cells'
            and digest.cells_n >= least.value
),

other as (
    select
        return_code,
        county_code,
        period,
        school_code,
        {{ text_list('other_county_name', '、', 'other_county_code') }} as others
    from {{ ref('int_shared_by_counties') }}
    group by return_code, county_code, period, school_code
),

compared as (
    select
        digest.*,
        other.others
    from digest
    inner join {{ source('declared', 'check_parameter') }} as least
        on
            digest.return_code = least.return_code
            and least.question = 'copy_of_county'
            and least.name = 'cells'
            and digest.cells_n >= least.value
    left join other
        on
            digest.return_code = other.return_code
            and digest.county_code = other.county_code
            and digest.period = other.period
            and other.school_code is null
),

school as (
    select
        school.return_code,
        school.county_code,
        school.period,
        school.submission_id,
        school.sheet,
        school.source_row,
        school.school_code,
        school.row_key,
        school.row_label,
        other.others
    from {{ source('landing', 'reported_school') }} as school
    inner join {{ ref('int_asked_filing') }} as filing
        on
            school.submission_id = filing.submission_id
            and school.screening_seq = filing.screening_seq
            and school.return_code = filing.return_code
            and school.county_code = filing.county_code
            and school.period = filing.period
    left join other
        on
            school.return_code = other.return_code
            and school.county_code = other.county_code
            and school.period = other.period
            and school.school_code = other.school_code
)

{{ asked("'exact_copy'", 'repeated', 'is_repeated', detail='before_label') }}
union all
{{ asked("'copy_of_county'", 'compared', 'others is not null', detail='others') }}
union all
{{ asked("'code_elsewhere'", 'school', 'others is not null', place='row', row_label='row_label', subject='row_key',
    column_name="'school_code'", value_text='school_code', detail='others') }}
