-- Of any return: are the entries of another return that it names there, and not ended; and of a ledger, are the
-- entries of the period before still in it, unless they had ended?
with filing as (
    select * from {{ ref('int_asked_filing') }}
),

named as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        filing.school_year,
        filing.calendar_year,
        filing.starts_on,
        reference.sheet,
        reference.source_row,
        reference.row_key,
        reference.row_label,
        reference.column_name,
        reference.of_return,
        reference.of_column,
        reference.value
    from {{ source('landing', 'reported_reference') }} as reference
    inner join filing
        on
            reference.submission_id = filing.submission_id
            and reference.screening_seq = filing.screening_seq
            and reference.return_code = filing.return_code
            and reference.county_code = filing.county_code
            and reference.period = filing.period
),

-- The filing that knows the entries: of the same period, else of the school year, else of the calendar year.
asked_back as (
    select
        named.*,
        known.period as of_period,
        known.before_period as of_before_period
    from named
    inner join filing as known
        on
            named.of_return = known.return_code
            and named.county_code = known.county_code
            and known.period in (named.period, named.school_year, named.calendar_year)
    qualify
        row_number() over (
            partition by
                named.return_code, named.county_code, named.period, named.sheet, named.source_row, named.column_name
            order by
                case known.period when named.period then 0 when named.school_year then 1 else 2 end
        ) = 1
),

-- An entry may stand in several rows: it has ended when all of them have.
entry as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        entry.column_name,
        entry.value,
        min(entry.row_label) as row_label,
        case when count(*) = count(entry.ends_on) then max(entry.ends_on) end as ends_on
    from {{ source('landing', 'reported_entry') }} as entry
    inner join filing
        on
            entry.submission_id = filing.submission_id
            and entry.screening_seq = filing.screening_seq
            and entry.return_code = filing.return_code
            and entry.county_code = filing.county_code
            and entry.period = filing.period
    group by filing.return_code, filing.county_code, filing.period, entry.column_name, entry.value
),

-- An entry that only the period before has was known, too: a ledger need not keep what has ended.
answered as (
    select
        asked_back.*,
        coalesce(here.value, earlier.value) is null as is_unknown,
        coalesce(here.ends_on, earlier.ends_on) as ended_on,
        asked_back.row_label || '（' || asked_back.value || '）' as detail
    from asked_back
    left join entry as here
        on
            asked_back.of_return = here.return_code
            and asked_back.county_code = here.county_code
            and asked_back.of_period = here.period
            and asked_back.of_column = here.column_name
            and asked_back.value = here.value
    left join entry as earlier
        on
            asked_back.of_return = earlier.return_code
            and asked_back.county_code = earlier.county_code
            and asked_back.of_before_period = earlier.period
            and asked_back.of_column = earlier.column_name
            and asked_back.value = earlier.value
),

kept as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        earlier.value as subject,
        earlier.row_label,
        here.value is null as is_gone,
        earlier.row_label || '（' || earlier.value || '）' as detail
    from filing
    inner join entry as earlier
        on
            filing.return_code = earlier.return_code
            and filing.county_code = earlier.county_code
            and filing.before_period = earlier.period
            and earlier.column_name = ''
            and earlier.ends_on is null
    left join entry as here
        on
            filing.return_code = here.return_code
            and filing.county_code = here.county_code
            and filing.period = here.period
            and here.column_name = ''
            and earlier.value = here.value
)

{{ asked("'unknown_reference'", 'answered', 'is_unknown', place='row', row_label='row_label', subject='row_key',
    column_name='column_name', value_text='value', detail='detail') }}
union all
{{ asked("'ended_reference'", 'answered', 'coalesce(ended_on <= starts_on, false)', place='row',
    condition='not is_unknown', row_label='row_label', subject='row_key', column_name='column_name', value_text='value',
    expected_text='cast(ended_on as string)', detail='detail') }}
union all
{{ asked("'vanished'", 'kept', 'is_gone', row_label='row_label', subject='subject', detail='detail') }}
