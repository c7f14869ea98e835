-- What counties share that they should not: a row for each county and each other one that has the same of a return in
-- the same period. `school_code`: a school that both report; null: all figures of the filing.
with copied as (
    select
        filing.return_code,
        filing.period,
        filing.county_code,
        digest.rows_n,
        digest.figures_digest
    from {{ ref('int_asked_filing') }} as filing
    inner join {{ source('landing', 'filing_digest') }} as digest
        on
            filing.submission_id = digest.submission_id
            and filing.screening_seq = digest.screening_seq
            and filing.return_code = digest.return_code
            and filing.county_code = digest.county_code
            and filing.period = digest.period
    inner join {{ source('declared', 'check_parameter') }} as least
        on
            filing.return_code = least.return_code
            and least.question = 'copy_of_county'
            and least.name = 'cells'
            and digest.cells_n >= least.value
),

reported as (
    select distinct
        filing.return_code,
        filing.period,
        filing.county_code,
        school.school_code
    from {{ source('landing', 'reported_school') }} as school
    inner join {{ ref('int_asked_filing') }} as filing
        on
            school.submission_id = filing.submission_id
            and school.screening_seq = filing.screening_seq
            and school.return_code = filing.return_code
            and school.county_code = filing.county_code
            and school.period = filing.period
),

county as (
    select
        county_code,
        max(county_name) as county_name
    from {{ source('control', 'county') }}
    group by county_code
),

pair as (
    select
        one.return_code,
        one.period,
        one.county_code,
        other.county_code as other_county_code,
        cast(null as string) as school_code
    from copied as one
    inner join copied as other
        on
            one.return_code = other.return_code
            and one.period = other.period
            and one.rows_n = other.rows_n
            and one.figures_digest = other.figures_digest
            and one.county_code != other.county_code
    union all
    select
        one.return_code,
        one.period,
        one.county_code,
        other.county_code as other_county_code,
        one.school_code
    from reported as one
    inner join reported as other
        on
            one.return_code = other.return_code
            and one.period = other.period
            and one.school_code = other.school_code
            and one.county_code != other.county_code
)

select
    pair.*,
    coalesce(county.county_name, pair.other_county_code) as other_county_name
from pair
left join county on pair.other_county_code = county.county_code
