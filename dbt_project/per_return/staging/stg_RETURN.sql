-- $form $title：现行有效版本的行。
select
    filing.submission_id,
    filing.received_at,
    filing.return_version,
    landed.county_code,
    landed.period,
    landed.sheet,
    landed.source_row,
$landed_columns
    landed.missing_codes
from {{ rows_in_force('$return') }}
