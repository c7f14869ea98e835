-- The bureau's decisions in order, those taken back among them: who decided what on which filings, when and why.
with {{ county_names() }}

select
    decision.decision_n,
    decision.decided_at,
    decision.decided_by,
    decision.action,
    case decision.action
        when 'accept' then '审定'
        when 'return' then '退回'
        when 'lock' then '锁定'
        when 'unlock' then '解锁'
        when 'waive' then '豁免'
        when 'revoke' then '撤销'
    end as action_label,
    decision.reason,
    decision.return_code,
    decision.county_code,
    county.county_name,
    decision.period,
    decision.rule_id,
    decision.submission_id,
    decision.until_on,
    decision.revokes_n,
    case when run.as_of is null or decision.revoked_at <= run.as_of then decision.revoked_at end as revoked_at
from {{ source('landing', 'decision') }} as decision
cross join {{ source('control', 'run') }} as run
left join county on decision.county_code = county.county_code
where run.as_of is null or decision.decided_at <= run.as_of
order by decision.decision_n
