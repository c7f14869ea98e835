-- XB02 在校（园）学生统计表：现行有效版本的行。
select
    filing.submission_id,
    filing.received_at,
    landed.county_code,
    landed.period,
    landed.sheet,
    landed.source_row,
    landed.school_code,
    landed.school_name,
    landed.stage,
    landed.students_total,
    landed.students_female,
    landed.students_official_age,
    landed.age_2_and_under,
    landed.age_3,
    landed.age_4,
    landed.age_5,
    landed.age_6,
    landed.age_7,
    landed.age_8,
    landed.age_9,
    landed.age_10,
    landed.age_11,
    landed.age_12,
    landed.age_13,
    landed.age_14,
    landed.age_15,
    landed.age_16,
    landed.age_17,
    landed.age_18_and_over,
    landed.grade_1,
    landed.grade_2,
    landed.grade_3,
    landed.grade_4,
    landed.grade_5,
    landed.grade_6,
    landed.new_entrants,
    landed.repeaters,
    landed.graduates_last_year,
    landed.boarders,
    landed.missing_codes
from {{ source('landing', 'enrolment') }} as landed
inner join {{ ref('stg_filing') }} as filing
    on
        landed.submission_id = filing.submission_id
        and landed.screening_seq = filing.screening_seq
        and landed.county_code = filing.county_code
        and landed.period = filing.period
where filing.is_in_force and filing.return_code = 'enrolment'
