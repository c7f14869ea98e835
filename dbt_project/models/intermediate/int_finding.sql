-- What stands to be fixed or explained, and whether it is: findings of the newest version and of the version in force
-- of each filing, by its latest screening; findings against other periods and returns; and those of files nobody could
-- identify.
{{ config(materialized='view') }}

with latest_screening as (
    select
        submission_id,
        screening_seq,
        min(received_at) as received_at,
        -- A file that fills no filing is superseded by nothing; another by what supersedes all of its filings.
        coalesce(bool_or(is_in_force or is_newest or is_reply) filter (where is_identified), true) as is_current
    from {{ ref('stg_filing') }}
    group by all
),

-- A file that was sent several times may be both the version in force and the newest.
filing as (
    select
        submission_id,
        return_code,
        county_code,
        period,
        min(received_at) as received_at,
        bool_or(is_in_force) as is_in_force,
        bool_or(is_newest) as is_newest,
        bool_or(is_reply) as is_reply
    from {{ ref('stg_filing') }}
    group by all
),

file_finding as (
    select
        finding.*,
        -- The same bytes may have come from two counties, at two times.
        coalesce(filing.received_at, latest_screening.received_at) as received_at,
        'file' as finding_kind,
        coalesce(filing.is_in_force, false) as is_of_version_in_force,
        coalesce(filing.is_newest, true) as is_of_newest_version
    from {{ source('landing', 'finding') }} as finding
    inner join latest_screening
        on
            finding.submission_id = latest_screening.submission_id
            and finding.screening_seq = latest_screening.screening_seq
    left join filing
        on
            finding.submission_id = filing.submission_id
            and finding.return_code = filing.return_code
            and finding.county_code = filing.county_code
            and finding.period = filing.period
    -- A finding without a filing is of the file as a whole, or of a sheet that nobody could identify.
    -- A reply repeats a version's findings; only what is wrong with the replies themselves is its own.
    where
        filing.is_in_force
        or filing.is_newest
        or (filing.is_reply and finding.rule_id = 'FILE-0-reply-unreadable')
        or (filing.submission_id is null and latest_screening.is_current)
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

context_finding as (
    select
        finding.*,
        filing.received_at,
        'context' as finding_kind,
        true as is_of_version_in_force,
        filing.is_newest as is_of_newest_version
    from {{ source('landing', 'context_finding') }} as finding
    inner join latest_evaluation as latest
        on
            finding.submission_id = latest.submission_id
            and finding.return_code = latest.return_code
            and finding.county_code = latest.county_code
            and finding.period = latest.period
            and finding.evaluation_seq = latest.evaluation_seq
    inner join filing
        on
            finding.submission_id = filing.submission_id
            and finding.return_code = filing.return_code
            and finding.county_code = filing.county_code
            and finding.period = filing.period
            and filing.is_in_force
),

finding as (
    select * from file_finding
    union all by name
    select * from context_finding
),

-- A query is explained while its value is off by no more than when the county said why.
explained as (
    select
        finding.finding_id,
        explanation.explanation,
        explanation.received_at as explained_at
    from finding
    inner join {{ ref('stg_explanation') }} as explanation
        on
            finding.return_code = explanation.return_code
            and finding.county_code = explanation.county_code
            and finding.period = explanation.period
            and finding.rule_id = explanation.rule_id
            and finding.subject = explanation.subject
            and finding.column_label = explanation.column_label
    where
        finding.outcome = 'query'
        and (
            case
                when try_cast(finding.difference as decimal(38, 4)) is null
                    then explanation.deviation is null
                -- Off in the same direction, and by no more.
                else
                    sign(try_cast(finding.difference as decimal(38, 4))) = sign(explanation.deviation)
                    and abs(try_cast(finding.difference as decimal(38, 4))) <= abs(explanation.deviation)
            end
        )
),

-- What the county said to the same query in the newest period before.
proposed as (
    select
        finding.finding_id,
        arg_max(explanation.explanation, explanation.period) as proposal
    from finding
    inner join {{ ref('stg_explanation') }} as explanation
        on
            finding.return_code = explanation.return_code
            and finding.county_code = explanation.county_code
            and finding.rule_id = explanation.rule_id
            and finding.subject = explanation.subject
            and finding.column_label = explanation.column_label
            and finding.period > explanation.period
            and length(finding.period) = length(explanation.period)
    where finding.outcome = 'query'
    group by finding.finding_id
),

waived as (
    select
        finding.finding_id,
        max(decision.decision_n) as waived_by_decision_n
    from finding
    inner join {{ ref('stg_decision') }} as decision
        on
            decision.action = 'waive'
            and finding.rule_id = decision.rule_id
            and {{ concerns('decision', 'finding') }}
            and {{ china_date('finding.received_at') }} <= decision.until_on
    -- What cannot be read, typed or told apart cannot be waived (as in screening).
    where finding.level in ('1c', '2', '2b', '3', '4', '5')
    group by finding.finding_id
)

select
    finding.*,
    case
        when waived.waived_by_decision_n is not null then 'waived'
        when explained.finding_id is not null then 'explained'
        when finding.outcome = 'info' then 'noted'
        else 'open'
    end as status,
    explained.explanation,
    explained.explained_at,
    case when explained.finding_id is null then proposed.proposal end as proposal,
    waived.waived_by_decision_n
from finding
left join explained on finding.finding_id = explained.finding_id
left join proposed on finding.finding_id = proposed.finding_id
left join waived on finding.finding_id = waived.finding_id
