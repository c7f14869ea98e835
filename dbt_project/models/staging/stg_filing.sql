-- Every version of every filing by its latest screening, as far as known at the as-of time, with the version in force.
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
    cross join {{ source('control', 'run') }} as run
    where run.as_of is null or filing_version.received_at <= run.as_of
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

-- Versions on which the bureau's last word was to send them back.
returned as (
    select
        submission_id,
        return_code,
        county_code,
        period
    from {{ ref('stg_decision') }}
    where action in ('accept', 'return')
    group by all
    having arg_max(action, decision_n) = 'return'
),

judged as (
    select
        known.*,
        returned.submission_id is not null as is_returned,
        -- The county's own annotated workbook with the values as they were carries replies, and is no new version.
        answered.submission_id is not null as is_reply,
        known.verdict in ('accepted', 'accepted_with_queries')
        and returned.submission_id is null
        and answered.submission_id is null as is_accepted
    from known
    left join known as answered
        on
            known.answers_submission_id = answered.submission_id
            and known.return_code = answered.return_code
            and known.county_code = answered.county_code
            and known.period = answered.period
            and known.content_digest = answered.content_digest
    left join returned
        on
            known.submission_id = returned.submission_id
            and known.return_code = returned.return_code
            and known.county_code = returned.county_code
            and known.period = returned.period
),

ranked as (
    select
        *,
        row_number() over filing as rank_n,
        count(*) over (partition by return_code, county_code, period, is_reply) as versions_n,
        row_number() over (
            partition by return_code, county_code, period, is_accepted
            order by received_at desc, submission_id desc
        ) as recency_n
    from judged
    window filing as (partition by return_code, county_code, period, is_reply order by received_at, submission_id)
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
    is_accepted and recency_n = 1
    and return_code is not null and county_code is not null and period is not null as is_in_force
from ranked
