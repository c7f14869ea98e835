-- The bureau's decisions that stand.
select
    decision.decision_n,
    decision.decided_at,
    decision.decided_by,
    decision.action,
    decision.reason,
    decision.return_code,
    decision.county_code,
    decision.period,
    decision.rule_id,
    decision.submission_id,
    decision.until_on
from {{ source('landing', 'decision') }} as decision
where
    decision.action != 'revoke'
    and decision.revoked_at is null
