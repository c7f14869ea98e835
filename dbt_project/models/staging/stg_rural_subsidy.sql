-- XB06 乡村教师补助发放表：现行有效版本的行。
select
    filing.submission_id,
    filing.received_at,
    landed.county_code,
    landed.period,
    landed.sheet,
    landed.source_row,
    landed.school_code,
    landed.school_name,
    landed.programme,
    landed.tier,
    landed.teachers_entitled,
    landed.teachers_paid,
    landed.standard_yuan_per_month,
    landed.months,
    landed.due_yuan,
    landed.paid_yuan,
    landed.arrears_yuan,
    landed.missing_codes
from {{ source('landing', 'rural_subsidy') }} as landed
inner join {{ ref('stg_filing') }} as filing
    on
        landed.submission_id = filing.submission_id
        and landed.screening_seq = filing.screening_seq
        and landed.county_code = filing.county_code
        and landed.period = filing.period
where filing.is_in_force and filing.return_code = 'rural_subsidy'
