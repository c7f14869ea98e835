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
    decision.revoked_at
from {{ source('landing', 'decision') }} as decision
left join county on decision.county_code = county.county_code
order by decision.decision_n
