-- Every version of every filing by its latest screening, with the version in force. A file that was sent again after
-- another is a version of its own each time.
{{ config(materialized='table') }}
with latest as (
    select
        submission_id,
        max(screening_seq) as screening_seq
    from {{ source('landing', 'filing_version') }}
    group by submission_id
),

known as (
    select filing_version.*
    from {{ source('landing', 'filing_version') }} as filing_version
    inner join latest
        on filing_version.submission_id = latest.submission_id and filing_version.screening_seq = latest.screening_seq
    -- A filing that stands on two sheets of one file is one filing, rejected where either is.
    qualify row_number() over (
        partition by
            filing_version.submission_id,
            filing_version.return_code,
            filing_version.county_code,
            filing_version.period
        order by filing_version.verdict = 'rejected' desc, filing_version.errors_n desc, filing_version.sheet asc
    ) = 1
),

-- The bureau's last word on each version, and the last on the period: locked, or opened again.
decided as (
    select
        known.submission_id,
        known.return_code,
        known.county_code,
        known.period,
        arg_max(decision.action, decision.decision_n) filter (
            where decision.action in ('accept', 'return') and known.submission_id = decision.submission_id
        ) as ruling,
        arg_max(decision.action, decision.decision_n) filter (
            where decision.action in ('lock', 'unlock')
        ) as lock_ruling
    from known
    inner join {{ ref('stg_decision') }} as decision
        on {{ concerns('decision', 'known') }}
    group by all
),

judged as (
    select
        known.*,
        coalesce(decided.ruling = 'return', false) as is_returned,
        coalesce(decided.ruling = 'accept' or decided.lock_ruling = 'lock', false) as is_settled,
        calendar.due_on,
        -- The county's own annotated workbook with the values as they were carries replies, and is no new version.
        answered.submission_id is not null as is_reply,
        known.verdict in ('accepted', 'accepted_with_queries')
        and answered.submission_id is null as is_passed,
        known.verdict in ('accepted', 'accepted_with_queries')
        and coalesce(decided.ruling, '') != 'return'
        and answered.submission_id is null as is_accepted
    from known
    left join known as answered
        on
            known.answers_submission_id = answered.submission_id
            and known.return_code = answered.return_code
            and known.county_code = answered.county_code
            and known.period = answered.period
            and known.content_digest = answered.content_digest
    left join decided
        on
            known.submission_id = decided.submission_id
            and known.return_code = decided.return_code
            and known.county_code = decided.county_code
            and known.period = decided.period
    left join {{ source('control', 'calendar') }} as calendar
        on known.return_code = calendar.return_code and known.period = calendar.period
),

-- Every time that a filing was sent; once where nothing else is known.
sent as (
    select
        judged.* exclude (received_at),
        coalesce(sending.received_at, judged.received_at) as received_at,
        coalesce(sending.is_locked_out, false) as is_sent_into_lock,
        not judged.is_reply
        and judged.return_code is not null
        and judged.county_code is not null
        and judged.period is not null as has_turns
    from judged
    left join {{ source('landing', 'sending') }} as sending
        on
            judged.submission_id = sending.submission_id
            and judged.screening_seq = sending.screening_seq
            and judged.return_code is not distinct from sending.return_code
            and judged.county_code is not distinct from sending.county_code
            and judged.period is not distinct from sending.period
),

turn as (
    select
        *,
        row_number() over filing as turn_n,
        lag(submission_id) over filing as before_it,
        row_number() over repeat as time_n
    from sent
    window
        filing as (partition by return_code, county_code, period, is_reply order by received_at, submission_id),
        repeat as (
            partition by return_code, county_code, period, is_reply, submission_id order by received_at
        )
),

-- Sent again with nothing in between it is the version that it was. A reply counts once, and so does a file that fills
-- no filing.
counted as (
    select
        *,
        case when has_turns then coalesce(before_it != submission_id, true) else time_n = 1 end as is_version
    from turn
),

version as (
    select
        *,
        sum(case when is_version then 1 else 0 end) over (
            partition by return_code, county_code, period, is_reply
            order by turn_n
            rows between unbounded preceding and current row
        ) as nth
    from counted
),

standing as (
    select
        *,
        -- Taken when it was sent outside of a lock even once.
        bool_and(is_sent_into_lock) over (
            partition by
                return_code, county_code, period, is_reply, submission_id, case when has_turns then nth else 0 end
        ) as is_locked_out
    from version
),

told as (
    select
        * replace (
            case when is_locked_out then 'rejected' else verdict end as verdict,
            is_passed and not is_locked_out as is_passed,
            is_accepted and not is_locked_out as is_accepted
        )
    from standing
    where is_version
),

ranked as (
    select
        *,
        row_number() over filing as rank_n,
        count(*) over (partition by return_code, county_code, period, is_reply) as versions_n,
        row_number() over (
            partition by return_code, county_code, period, is_accepted
            order by received_at desc, submission_id desc
        ) as recency_n,
        -- The values first given out: those that stood when the filing was due, or the first that passed later.
        coalesce(
            arg_max(content_digest, (received_at, submission_id)) filter (
                where is_passed and {{ china_date('received_at') }} <= due_on
            ) over slot,
            arg_min(content_digest, (received_at, submission_id)) filter (where is_passed) over slot
        ) as first_digest
    from told
    window
        filing as (partition by return_code, county_code, period, is_reply order by received_at, submission_id),
        slot as (partition by return_code, county_code, period)
)

select
    submission_id,
    screening_seq,
    return_code,
    return_version,
    county_code,
    period,
    period_type,
    sheet,
    file_name,
    received_at,
    verdict,
    errors_n,
    queries_n,
    infos_n,
    waived_n,
    rows_n,
    passed_over,
    content_digest,
    rule_set_version,
    -- A reply bears the number of the version whose values it repeats.
    case
        when is_reply
            then max(case when not is_reply then rank_n end) over (
                partition by return_code, county_code, period, content_digest
            )
        else rank_n
    end as version_n,
    return_code is not null and county_code is not null and period is not null as is_identified,
    not is_reply and rank_n = versions_n as is_newest,
    is_returned,
    is_reply,
    -- Sent while the period was locked: not taken, whatever stands in it.
    is_locked_out,
    -- Accepted by the bureau, or locked and not opened again.
    is_settled,
    -- Other values than had been given out.
    coalesce(content_digest != first_digest, false) as is_revised,
    is_accepted and recency_n = 1
    and return_code is not null and county_code is not null and period is not null as is_in_force
from ranked
