-- Who teaches at each school of the register by the payroll of the year, for every part that asks: a model that
-- registers as a return. One row a school and row of its payroll; a school that the payroll does not have is there
-- with an empty one: nobody can say how many teach there. Without a register of the county nobody can say which
-- schools it has.
{{ config(materialized='view') }}
with asking as (
    select distinct
        source.anchor_return,
        source.county_code,
        source.part_period,
        source.source_period,
        source.reference_on,
        source.submission_id,
        expected.school_year,
        source.is_register_of_the_county and register.submission_id is not null as is_register_there
    from {{ ref('int_source') }} as source
    inner join {{ ref('stg_expected_filing') }} as expected
        on
            source.anchor_return = expected.return_code
            and source.county_code = expected.county_code
            and source.part_period = expected.period
    left join {{ ref('stg_filing') }} as register
        on
            register.is_in_force
            and register.return_code = 'school'
            and source.county_code = register.county_code
            and expected.school_year = register.period
    where source.return_code = 'school_payroll' and source.submission_id is not null
)

select
    asking.county_code,
    asking.part_period as period,
    payroll.submission_id,
    payroll.sheet,
    payroll.source_row,
    coalesce(payroll.missing_codes, '{}') as missing_codes,
    payroll.school_name || '（' || payroll.stage || '）' as row_label,
    school.school_code,
    payroll.stage,
    school.location_code,
    school.school_type,
    school.organiser,
    payroll.teachers_average
from asking
inner join {{ ref('stg_school') }} as school
    on
        asking.county_code = school.county_code
        and asking.school_year = school.period
        and {{ open_on('school', 'asking.reference_on') }}
left join {{ ref('stg_teacher_pay') }} as payroll
    on
        asking.county_code = payroll.county_code
        and asking.source_period = payroll.period
        and school.school_code = payroll.school_code
where asking.is_register_there
union all
select
    county_code,
    part_period as period,
    null as submission_id,
    null as sheet,
    null as source_row,
    '{}' as missing_codes,
    null as row_label,
    null as school_code,
    null as stage,
    null as location_code,
    null as school_type,
    null as organiser,
    0 as teachers_average
from asking
where not is_register_there
