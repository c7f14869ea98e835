-- Of any return: does a column agree with a column of another return (parameter `with`: return.column), in the
-- county's sums or, with `by: row`, in the rows of the same key? `share` and `least` are the tolerance; a sum with a
-- missing cell is not asked.
with word as (
    select
        return_code,
        question,
        max(case when name = 'with' then word end) as other,
        max(case when name = 'by' then word end) as grain,
        coalesce(max(case when name = 'share' then value end), 0) as most_share,
        coalesce(max(case when name = 'least' then value end), 0) as least
    from {{ source('declared', 'check_parameter') }}
    group by return_code, question
),

question as (
    select
        rule.return_code,
        rule.question,
        rule.column_name,
        split_part(word.other, '.', 1) as other_return,
        split_part(word.other, '.', 2) as other_column,
        coalesce(word.grain, 'county') as grain,
        word.most_share,
        word.least
    from {{ source('declared', 'check_rule') }} as rule
    inner join word on rule.return_code = word.return_code and rule.question = word.question
    where rule.model = 'check_agreement'
),

wanted as (
    select
        return_code,
        column_name
    from question
    union
    select
        other_return as return_code,
        other_column as column_name
    from question
),

filing as (
    select * from {{ ref('int_asked_filing') }}
),

reported as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        number.sheet,
        number.source_row,
        number.row_key,
        number.column_name,
        number.number
    from {{ source('landing', 'reported_number') }} as number
    inner join filing
        on
            number.submission_id = filing.submission_id
            and number.screening_seq = filing.screening_seq
            and number.return_code = filing.return_code
            and number.county_code = filing.county_code
            and number.period = filing.period
    where number.return_code in (select wanted.return_code from wanted)
),

number as (
    select
        reported.return_code,
        reported.county_code,
        reported.period,
        reported.submission_id,
        reported.sheet,
        reported.source_row,
        reported.row_key,
        reported.column_name,
        cast(reported.number as decimal(28, 0)) * declared_column.smallest as number
    from reported
    inner join wanted on reported.return_code = wanted.return_code and reported.column_name = wanted.column_name
    inner join {{ source('declared', 'check_column') }} as declared_column
        on
            reported.return_code = declared_column.return_code
            and reported.column_name = declared_column.column_name
            and declared_column.of_member = ''
),

rows_of_filing as (
    select
        return_code,
        county_code,
        period,
        count(distinct row_key) as rows_n
    from reported
    group by return_code, county_code, period
),

of_county as (
    select
        number.return_code,
        number.county_code,
        number.period,
        number.submission_id,
        number.column_name,
        'county' as grain,
        '' as row_key,
        case when count(*) = max(rows_of_filing.rows_n) then sum(number.number) end as number,
        {{ rows_summed('number') }}
    from number
    inner join rows_of_filing
        on
            number.return_code = rows_of_filing.return_code
            and number.county_code = rows_of_filing.county_code
            and number.period = rows_of_filing.period
    group by number.return_code, number.county_code, number.period, number.submission_id, number.column_name
),

figure as (
    select * from of_county
    union all
    select
        return_code,
        county_code,
        period,
        submission_id,
        column_name,
        'row' as grain,
        row_key,
        number,
        sheet,
        source_row,
        sheet as last_sheet,
        source_row as last_row
    from number
),

-- The other filing: of the same period, else of the school year, else of the calendar year.
other_filing as (
    select
        question.*,
        filing.county_code,
        filing.period,
        known.period as other_period
    from question
    inner join filing on question.return_code = filing.return_code
    inner join filing as known
        on
            question.other_return = known.return_code
            and filing.county_code = known.county_code
            and known.period in (filing.period, filing.school_year, filing.calendar_year)
    qualify
        row_number() over (
            partition by question.return_code, question.question, filing.county_code, filing.period
            order by
                case known.period when filing.period then 0 when filing.school_year then 1 else 2 end
        ) = 1
),

compared as (
    select
        other_filing.question,
        other_filing.grain,
        figure.return_code,
        figure.county_code,
        figure.period,
        figure.submission_id,
        figure.column_name,
        figure.row_key,
        figure.sheet,
        figure.source_row,
        figure.last_sheet,
        figure.last_row,
        figure.number,
        other.number as other_number,
        {{ far_apart('figure.number', 'other.number', 'other_filing.most_share', 'other_filing.least') }} as is_apart
    from other_filing
    inner join figure
        on
            other_filing.return_code = figure.return_code
            and other_filing.county_code = figure.county_code
            and other_filing.period = figure.period
            and other_filing.column_name = figure.column_name
            and other_filing.grain = figure.grain
    inner join figure as other
        on
            other_filing.other_return = other.return_code
            and other_filing.county_code = other.county_code
            and other_filing.other_period = other.period
            and other_filing.other_column = other.column_name
            and other_filing.grain = other.grain
            and figure.row_key = other.row_key
)

{{ asked('question', 'compared', 'is_apart', place='rows',
    row_label="case grain when 'county' then '各行合计' else row_key end", subject='row_key', column_name='column_name', value='number', expected='other_number') }}
