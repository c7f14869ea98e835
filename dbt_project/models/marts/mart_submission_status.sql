-- The board: every filing that is expected or has come, with its version in force, what is open and whether it is late.
with known as (
    select * from {{ ref('stg_filing') }}
    where is_identified
),

received as (
    select
        return_code,
        county_code,
        period,
        any_value(period_type) as period_type,
        count(*) as versions_n,
        min(received_at) as first_received_at,
        min(received_at) filter (where verdict != 'rejected') as first_accepted_at,
        any_value(submission_id) filter (where is_in_force) as in_force_submission_id,
        any_value(version_n) filter (where is_in_force) as in_force_version_n,
        any_value(received_at) filter (where is_in_force) as in_force_received_at,
        any_value(verdict) filter (where is_in_force) as in_force_verdict,
        any_value(file_name) filter (where is_in_force) as in_force_file_name,
        any_value(queries_n) filter (where is_in_force) as in_force_queries_n,
        any_value(submission_id) filter (where is_newest) as newest_submission_id,
        any_value(received_at) filter (where is_newest) as newest_received_at,
        any_value(file_name) filter (where is_newest) as newest_file_name,
        any_value(verdict) filter (where is_newest) as newest_verdict,
        any_value(errors_n) filter (where is_newest) as newest_errors_n,
        any_value(queries_n) filter (where is_newest) as newest_queries_n
    from known
    group by all
),

latest_evaluation as (
    select
        submission_id,
        return_code,
        county_code,
        period,
        max(evaluation_seq) as evaluation_seq
    from {{ source('landing', 'context_evaluation') }}
    group by all
),

context_query as (
    select
        finding.submission_id,
        finding.return_code,
        finding.county_code,
        finding.period,
        count(*) as queries_n
    from {{ source('landing', 'context_finding') }} as finding
    inner join latest_evaluation as latest
        on
            finding.submission_id = latest.submission_id
            and finding.return_code = latest.return_code
            and finding.county_code = latest.county_code
            and finding.period = latest.period
            and finding.evaluation_seq = latest.evaluation_seq
    where finding.outcome = 'query'
    group by all
),

late as (
    select
        return_code,
        county_code,
        period,
        min(observed_on) as recorded_late_on
    from {{ source('landing', 'lateness') }}
    group by all
),

status_day as (
    select
        -- The last day that the record knows of: a deadline that was looked at, or a county's newest file.
        greatest(
            (select max(run.status_on) from {{ source('control', 'run') }} as run),
            (
                select {{ china_date('max(filing.received_at)') }} from {{ ref('stg_filing') }} as filing
                where filing.county_code is not null
            )
        ) as status_on
),

filing as (
    select
        coalesce(expected.return_code, received.return_code) as return_code,
        coalesce(expected.county_code, received.county_code) as county_code,
        coalesce(expected.period, received.period) as period,
        coalesce(expected.period_type, received.period_type) as period_type,
        expected.county_name,
        expected.period_label,
        expected.due_on,
        expected.return_code is not null as is_expected,
        received.* exclude (return_code, county_code, period, period_type)
    from {{ ref('stg_expected_filing') }} as expected
    full outer join received
        on
            expected.return_code = received.return_code
            and expected.county_code = received.county_code
            and expected.period = received.period
),

timed as (
    select
        filing.*,
        status_day.status_on,
        late.recorded_late_on,
        coalesce(context_query.queries_n, 0) as context_queries_n,
        {{ china_date('filing.first_accepted_at') }} as first_accepted_on
    from filing
    cross join status_day
    left join late
        on
            filing.return_code = late.return_code
            and filing.county_code = late.county_code
            and filing.period = late.period
    left join context_query
        on
            filing.in_force_submission_id = context_query.submission_id
            and filing.return_code = context_query.return_code
            and filing.county_code = context_query.county_code
            and filing.period = context_query.period
)

select
    return_code,
    county_code,
    period,
    period_type,
    coalesce(county_name, county_code) as county_name,
    coalesce(period_label, period) as period_label,
    is_expected,
    versions_n is not null as is_received,
    cast(coalesce(versions_n, 0) as integer) as versions_n,
    case
        when newest_verdict = 'rejected' and in_force_submission_id is not null then 'in_force_newer_rejected'
        when in_force_submission_id is not null then 'in_force'
        when newest_verdict = 'rejected' then 'rejected'
        when due_on < status_on then 'overdue'
        else 'pending'
    end as state,
    newest_verdict as verdict,
    newest_submission_id,
    newest_file_name,
    newest_received_at,
    in_force_submission_id,
    in_force_file_name,
    cast(in_force_version_n as integer) as in_force_version_n,
    in_force_received_at,
    in_force_verdict,
    cast(case when newest_verdict = 'rejected' then newest_errors_n else 0 end as integer) as open_errors_n,
    cast(
        case
            when in_force_submission_id is not null then in_force_queries_n + context_queries_n
            else coalesce(newest_queries_n, 0)
        end as integer
    ) as open_queries_n,
    due_on,
    first_received_at,
    first_accepted_at,
    case
        when first_accepted_on is not null then first_accepted_on <= due_on
        when due_on < status_on then false
    end as is_on_time,
    -- greatest() skips nulls, and a filing nobody asked for is not late by 0 days.
    cast(
        case when due_on is not null then greatest(coalesce(first_accepted_on, status_on) - due_on, 0) end as integer
    ) as days_late,
    recorded_late_on
from timed
order by return_code, county_code, period
