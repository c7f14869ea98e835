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
from {{ rows_in_force('civil_servant_pay') }}
