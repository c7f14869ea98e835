-- The filings that every figure of a county rests on: which is in force, when it came, as of which day its numbers are
-- and from where, and the queries that stand open against it.
with open_query as (
    select
        return_code,
        county_code,
        period,
        count(*) as open_queries_n,
        min_by(
            rule_id, case level when '3' then 1 when '4' then 2 when '5' then 3 when '2b' then 4 else 5 end || rule_id
        ) as heaviest_rule_id
    from {{ ref('int_finding') }}
    where outcome = 'query' and status = 'open' and is_of_version_in_force
    group by return_code, county_code, period
),

vintage as (
    select
        role_term.indicator_code,
        role_term.caliber_id,
        role_term.county_code,
        role_term.source_return,
        role_term.source_period,
        min(role_term.vintage_from) as vintage_from,
        max(role_term.vintage_to) as vintage_to,
        max(role_term.source_words) as source_words
    from {{ ref('int_role_term') }} as role_term
    where role_term.vintage_from is not null
    group by
        role_term.indicator_code, role_term.caliber_id, role_term.county_code, role_term.source_return,
        role_term.source_period
)

select
    source.indicator_code,
    source.caliber_id,
    source.period,
    source.county_code,
    source.return_code,
    source.source_period,
    filing.submission_id,
    filing.received_at,
    vintage.vintage_from,
    vintage.vintage_to,
    coalesce(vintage.source_words, '') as source_words,
    cast(coalesce(open_query.open_queries_n, 0) as integer) as open_queries_n,
    coalesce(open_query.heaviest_rule_id, '') as heaviest_rule_id
from {{ ref('int_figure_source') }} as source
left join {{ ref('stg_filing') }} as filing
    on
        filing.is_in_force
        and source.return_code = filing.return_code
        and source.county_code = filing.county_code
        and source.source_period = filing.period
left join vintage
    on
        source.indicator_code = vintage.indicator_code
        and source.caliber_id = vintage.caliber_id
        and source.county_code = vintage.county_code
        and source.return_code = vintage.source_return
        and source.source_period = vintage.source_period
left join open_query
    on
        source.return_code = open_query.return_code
        and source.county_code = open_query.county_code
        and source.source_period = open_query.period
order by
    source.indicator_code,
    source.caliber_id,
    source.period,
    source.county_code,
    source.return_code,
    source.source_period
