-- Of which filing each part of a figure takes the terms of each return: the asking return's own period, or what the
-- calendar sets against it (the calendar year in which it starts, the school year in whose course it ends, so many
-- years before). One row for every county that is expected to report the part and every return asked; a filing that is
-- not there leaves submission_id null, one that nobody expects of the unit is_exempt.
with ask as (
    select distinct
        indicator.anchor_return,
        term.return_code,
        coalesce(based.value, term.return_code) as source_return,
        coalesce(term.period_relation, '') as period_relation,
        -- Rows of a register, and of a model, are counted as they stand on a day of the asking part: they are its own.
        stock.return_code is not null as is_as_asked,
        coalesce(stock.rule = 'exists', false) as is_register,
        coalesce(cast(nullif(trim(replace(coalesce(term.period_relation, ''), '年前', '')), '') as integer), 0)
            as years_back
    from {{ source('declared', 'indicator') }} as indicator
    inner join {{ source('declared', 'indicator_term') }} as indicator_term
        on indicator.indicator_code = indicator_term.indicator_code
    inner join {{ source('declared', 'term') }} as term on indicator_term.term = term.term
    -- A model that registers as a return says on whose filings its rows rest.
    left join {{ source('declared', 'return_rule') }} as based
        on term.return_code = based.return_code and based.rule = 'based_on'
    left join {{ source('declared', 'return_rule') }} as stock
        on term.return_code = stock.return_code and stock.rule in ('exists', 'as_asked')
),

kind_of_period as (
    select
        return_code,
        max(period_type) as period_type
    from {{ source('control', 'calendar') }}
    group by return_code
),

linked as (
    select
        ask.anchor_return,
        expected.period as part_period,
        expected.county_code,
        expected.reference_on,
        ask.return_code,
        ask.source_return,
        ask.period_relation,
        ask.is_as_asked,
        ask.is_register,
        case
            when kind_of_period.period_type = expected.period_type then expected.period
            when kind_of_period.period_type = 'calendar_year' then expected.calendar_year
            when kind_of_period.period_type = 'school_year' then expected.school_year
        end as period_now,
        kind_of_period.period_type,
        ask.years_back,
        -- The register of a county that has changed since is not that of its schools.
        expected.is_register_of_the_county
    from ask
    inner join {{ ref('stg_expected_filing') }} as expected on ask.anchor_return = expected.return_code
    left join kind_of_period on ask.source_return = kind_of_period.return_code
),

dated as (
    select
        *,
        case
            when years_back = 0 then period_now
            when period_type = 'school_year'
                then
                    cast(cast(left(period_now, 4) as integer) - years_back as string) || '-'
                    || cast(cast(right(period_now, 4) as integer) - years_back as string)
            else cast(cast(left(period_now, 4) as integer) - years_back as string) || substr(period_now, 5)
        end as source_period
    from linked
)

select
    dated.anchor_return,
    dated.part_period,
    dated.county_code,
    dated.return_code,
    dated.period_relation,
    dated.source_return,
    dated.source_period,
    case when dated.is_as_asked then dated.part_period else dated.source_period end as asked_period,
    dated.reference_on,
    coalesce(dated.is_register_of_the_county, true) as is_register_of_the_county,
    not dated.is_register or coalesce(dated.is_register_of_the_county, true) as is_register_there,
    filing.submission_id,
    filing.received_at,
    coalesce(filing.is_settled, false) as is_settled,
    coalesce(filing.is_revised, false) as is_revised,
    -- The unit is there and files no such return (schools of the city have no population): a known zero.
    filing.submission_id is null
    and calendar.period is not null
    and expected.county_code is null
    and county.county_code is not null as is_exempt
from dated
left join {{ ref('stg_filing') }} as filing
    on
        filing.is_in_force
        and dated.source_return = filing.return_code
        and dated.county_code = filing.county_code
        and dated.source_period = filing.period
left join {{ source('control', 'calendar') }} as calendar
    on dated.source_return = calendar.return_code and dated.source_period = calendar.period
left join {{ ref('stg_expected_filing') }} as expected
    on
        dated.source_return = expected.return_code
        and dated.county_code = expected.county_code
        and dated.source_period = expected.period
left join {{ source('control', 'county') }} as county
    on
        dated.county_code = county.county_code
        and calendar.reference_on >= county.valid_from
        and (county.valid_to is null or calendar.reference_on < county.valid_to)
