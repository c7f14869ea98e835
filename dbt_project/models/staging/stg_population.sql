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
from {{ source('landing', 'population') }} as landed
inner join {{ ref('stg_filing') }} as filing
    on
        landed.submission_id = filing.submission_id
        and landed.screening_seq = filing.screening_seq
        and landed.county_code = filing.county_code
        and landed.period = filing.period
where filing.is_in_force and filing.return_code = 'population'
