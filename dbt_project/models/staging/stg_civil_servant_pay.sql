-- XB05 公务员工资统计表：现行有效版本的行。
select
    filing.submission_id,
    filing.received_at,
    landed.county_code,
    landed.period,
    landed.sheet,
    landed.source_row,
    landed.staff_category,
    landed.civil_servants_average,
    landed.basic_salary_yuan,
    landed.performance_pay_yuan,
    landed.allowance_yuan,
    landed.year_end_bonus_yuan,
    landed.local_incentive_yuan,
    landed.rural_living_allowance_yuan,
    landed.township_allowance_yuan,
    landed.hardship_allowance_yuan,
    landed.reform_allowance_yuan,
    landed.employer_insurance_yuan,
    landed.other_yuan,
    landed.pay_total_yuan,
    landed.missing_codes
from {{ source('landing', 'civil_servant_pay') }} as landed
inner join {{ ref('stg_filing') }} as filing
    on
        landed.submission_id = filing.submission_id
        and landed.screening_seq = filing.screening_seq
        and landed.county_code = filing.county_code
        and landed.period = filing.period
where filing.is_in_force and filing.return_code = 'civil_servant_pay'
