-- What a county last said to a query, by what the query is about: filing, rule, row and column.
with latest as (
    select
        submission_id,
        max(screening_seq) as screening_seq
    from {{ source('landing', 'screened') }}
    group by submission_id
)

select
    explanation.submission_id,
    explanation.return_code,
    explanation.county_code,
    explanation.period,
    explanation.rule_id,
    explanation.subject,
    explanation.column_label,
    -- How far the value was off when it was explained; the explanation holds as long as it is off by no more.
    try_cast(explanation.deviation as decimal(38, 4)) as deviation,
    explanation.explanation,
    explanation.received_at
from {{ source('landing', 'explanation') }} as explanation
inner join latest
    on explanation.submission_id = latest.submission_id and explanation.screening_seq = latest.screening_seq
qualify row_number() over (
    partition by
        explanation.return_code,
        explanation.county_code,
        explanation.period,
        explanation.rule_id,
        explanation.subject,
        explanation.column_label
    order by explanation.received_at desc, explanation.submission_id desc
) = 1
