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
from {{ rows_in_force('rural_subsidy') }}
