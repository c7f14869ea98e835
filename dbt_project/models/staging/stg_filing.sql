-- Every version of every filing by its latest screening, with the version in force.
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
    from judged
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
    -- Accepted by the bureau, or locked and not opened again.
    is_settled,
    -- Other values than had been given out.
    coalesce(content_digest != first_digest, false) as is_revised,
    is_accepted and recency_n = 1
    and return_code is not null and county_code is not null and period is not null as is_in_force
from ranked
