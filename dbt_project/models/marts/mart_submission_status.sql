-- The board: every filing that is expected or has come, with its version in force, what is open and whether it is late.
with known as (
    select * from {{ ref('stg_filing') }}
    where is_identified and not is_reply
),

received as (
    select
        return_code,
        county_code,
        period,
        any_value(period_type) as period_type,
        count(*) as versions_n,
        min(received_at) as first_received_at,
        min(received_at) filter (where verdict != 'rejected' and not is_returned) as first_accepted_at,
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
        any_value(queries_n) filter (where is_newest) as newest_queries_n,
        any_value(is_returned) filter (where is_newest) as newest_is_returned,
        any_value(is_locked_out) filter (where is_newest) as newest_is_locked_out,
        any_value(waived_n) filter (where is_in_force) as in_force_waived_n,
        any_value(waived_n) filter (where is_newest) as newest_waived_n
    from known
    group by all
),

-- Findings of the version in force: queries against other filings, and what an explanation has closed.
found as (
    select
        submission_id,
        return_code,
        county_code,
        period,
        count(*) filter (where finding_kind = 'context' and outcome = 'query') as context_queries_n,
        count(*) filter (
            where finding_kind = 'context' and outcome = 'query' and status = 'waived'
        ) as context_waived_n,
        count(*) filter (where outcome = 'query' and status = 'explained') as explained_queries_n
    from {{ ref('int_finding') }}
    where is_of_version_in_force
    group by all
),

-- The bureau's last word on a version.
ruling as (
    select
        submission_id,
        return_code,
        county_code,
        period,
        arg_max(action, decision_n) as action,
        arg_max(decided_by, decision_n) as decided_by,
        arg_max(decided_at, decision_n) as decided_at,
        arg_max(reason, decision_n) as reason
    from {{ ref('stg_decision') }}
    where action in ('accept', 'return')
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

-- How the last look at a county's source ended.
source_now as (
    select
        county_code,
        arg_max(coalesce(problem, ''), note_n) as problem
    from {{ source('landing', 'source_note') }}
    group by county_code
),

-- How it had ended by the day on which a filing was recorded as late.
source_then as (
    select
        late.return_code,
        late.county_code,
        late.period,
        -- Noted on that day, though it was mended later; else as it stood before.
        coalesce(
            max(note.problem) filter (where {{ china_date('note.observed_at') }} = late.recorded_late_on),
            arg_max(coalesce(note.problem, ''), note.note_n) filter (
                where {{ china_date('note.observed_at') }} < late.recorded_late_on
            )
        ) as problem
    from late
    inner join {{ source('landing', 'source_note') }} as note
        on late.county_code = note.county_code and {{ china_date('note.observed_at') }} <= late.recorded_late_on
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
        nullif(source_now.problem, '') as source_problem,
        nullif(source_then.problem, '') as late_source_problem,
        coalesce(found.context_queries_n, 0) - coalesce(found.context_waived_n, 0) as context_queries_n,
        coalesce(found.context_waived_n, 0) as context_waived_n,
        coalesce(found.explained_queries_n, 0) as explained_queries_n,
        ruling.action as ruling,
        ruling.decided_by as ruling_by,
        ruling.decided_at as ruled_at,
        ruling.reason as ruling_reason,
        {{ china_date('filing.first_accepted_at') }} as first_accepted_on
    from filing
    cross join status_day
    left join late
        on
            filing.return_code = late.return_code
            and filing.county_code = late.county_code
            and filing.period = late.period
    left join source_now on filing.county_code = source_now.county_code
    left join source_then
        on
            filing.return_code = source_then.return_code
            and filing.county_code = source_then.county_code
            and filing.period = source_then.period
    left join found
        on
            filing.in_force_submission_id = found.submission_id
            and filing.return_code = found.return_code
            and filing.county_code = found.county_code
            and filing.period = found.period
    left join ruling
        on
            -- Of the newest version where that was returned, else of the version in force.
            case when filing.newest_is_returned then filing.newest_submission_id else filing.in_force_submission_id end
            = ruling.submission_id
            and filing.return_code = ruling.return_code
            and filing.county_code = ruling.county_code
            and filing.period = ruling.period
),

-- The newest lock on a filing counts until an unlock after it, and again when that has run out.
locked as (
    select
        timed.return_code,
        timed.county_code,
        timed.period,
        max(lock.decision_n) as lock_n
    from timed
    inner join {{ ref('stg_decision') }} as lock
        on lock.action = 'lock' and {{ concerns('lock', 'timed') }}
    group by all
),

unlocked as (
    select
        locked.return_code,
        locked.county_code,
        locked.period,
        max(unlock.until_on) as unlocked_until
    from locked
    inner join timed
        on
            locked.return_code = timed.return_code
            and locked.county_code = timed.county_code
            and locked.period = timed.period
    inner join {{ ref('stg_decision') }} as unlock
        on
            unlock.action = 'unlock'
            and {{ concerns('unlock', 'locked') }}
            and locked.lock_n < unlock.decision_n
            and timed.status_on <= unlock.until_on
    group by all
)

select
    timed.return_code,
    timed.county_code,
    timed.period,
    timed.period_type,
    coalesce(timed.county_name, timed.county_code) as county_name,
    coalesce(timed.period_label, timed.period) as period_label,
    timed.is_expected,
    timed.versions_n is not null as is_received,
    cast(coalesce(timed.versions_n, 0) as integer) as versions_n,
    case
        when timed.newest_is_returned and timed.in_force_submission_id is not null then 'in_force_newer_returned'
        when timed.newest_is_returned then 'returned'
        when timed.newest_verdict = 'rejected' and timed.in_force_submission_id is not null
            then 'in_force_newer_rejected'
        when timed.in_force_submission_id is not null then 'in_force'
        when timed.newest_verdict = 'rejected' then 'rejected'
        when timed.due_on < timed.status_on then 'overdue'
        else 'pending'
    end as state,
    timed.newest_verdict as verdict,
    timed.newest_submission_id,
    timed.newest_file_name,
    timed.newest_received_at,
    timed.in_force_submission_id,
    timed.in_force_file_name,
    cast(timed.in_force_version_n as integer) as in_force_version_n,
    timed.in_force_received_at,
    timed.in_force_verdict,
    cast(case when timed.newest_verdict = 'rejected' then timed.newest_errors_n else 0 end as integer) as open_errors_n,
    cast(
        case
            when timed.in_force_submission_id is not null
                then greatest(0, timed.in_force_queries_n + timed.context_queries_n - timed.explained_queries_n)
            else coalesce(timed.newest_queries_n, 0)
        end as integer
    ) as open_queries_n,
    timed.due_on,
    timed.first_received_at,
    timed.first_accepted_at,
    case
        when timed.first_accepted_on is not null then timed.first_accepted_on <= timed.due_on
        when timed.due_on < timed.status_on then false
    end as is_on_time,
    -- greatest() skips nulls, and a filing nobody asked for is not late by 0 days.
    cast(
        case
            when timed.due_on is not null
                then greatest(coalesce(timed.first_accepted_on, timed.status_on) - timed.due_on, 0)
        end as integer
    ) as days_late,
    timed.recorded_late_on,
    timed.late_source_problem,
    timed.source_problem,
    coalesce(timed.newest_is_locked_out, false) as newest_is_locked_out,
    cast(timed.explained_queries_n as integer) as explained_queries_n,
    cast(coalesce(timed.in_force_waived_n, timed.newest_waived_n, 0) + timed.context_waived_n as integer) as waived_n,
    locked.lock_n is not null and unlocked.unlocked_until is null as is_locked,
    unlocked.unlocked_until,
    case timed.ruling when 'accept' then 'accepted' when 'return' then 'returned' end as bureau_decision,
    timed.ruling_by as bureau_decided_by,
    timed.ruled_at as bureau_decided_at,
    timed.ruling_reason as bureau_reason
from timed
left join locked
    on
        timed.return_code = locked.return_code
        and timed.county_code = locked.county_code
        and timed.period = locked.period
left join unlocked
    on
        timed.return_code = unlocked.return_code
        and timed.county_code = unlocked.county_code
        and timed.period = unlocked.period
order by timed.return_code, timed.county_code, timed.period
