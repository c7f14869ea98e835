-- Schools as the county's register of each school year has them.
select
    school.county_code,
    school.period,
    school.school_code,
    school.school_name,
    school.school_type,
    school.organiser,
    school.location_code,
    coalesce(caliber_members.member is not null, false) as is_rural,
    school.boarding = '是' as is_boarding,
    school.subsidy_tier,
    school.opened_on,
    school.closed_on,
    school.submission_id,
    school.sheet,
    school.source_row
from {{ ref('stg_school') }} as school
left join {{ source('policy', 'calibers') }} as calibers on calibers.caliber_kind = 'rural' and calibers.is_default
left join {{ source('policy', 'caliber_members') }} as caliber_members
    on
        calibers.caliber_id = caliber_members.caliber_id
        and caliber_members.dimension = 'rural_location_code'
        and school.location_code = caliber_members.member
order by school.county_code, school.period, school.school_code
