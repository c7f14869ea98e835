-- XB01 学校（机构）名录：现行有效版本的行。
select
    filing.submission_id,
    filing.received_at,
    landed.county_code,
    landed.period,
    landed.sheet,
    landed.source_row,
    landed.school_code,
    landed.school_name,
    landed.school_type,
    landed.organiser,
    landed.location_code,
    landed.boarding,
    landed.subsidy_tier,
    landed.opened_on,
    landed.closed_on,
    landed.missing_codes
from {{ rows_in_force('school') }}
