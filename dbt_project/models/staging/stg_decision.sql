-- The bureau's decisions that had been taken, and not taken back, at the as-of time.
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
cross join {{ source('control', 'run') }} as run
where
    decision.action != 'revoke'
    and (run.as_of is null or decision.decided_at <= run.as_of)
    and (decision.revoked_at is null or decision.revoked_at > run.as_of)
