-- XB03 学龄人口统计表：现行有效版本的行。
select
    filing.submission_id,
    filing.received_at,
    landed.county_code,
    landed.period,
    landed.sheet,
    landed.source_row,
    landed.age,
    landed.register,
    landed.population_total,
    landed.population_male,
    landed.population_female,
    landed.source,
    landed.vintage_on,
    landed.missing_codes
from {{ rows_in_force('population') }}
