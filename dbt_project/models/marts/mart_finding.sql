-- The findings that stand, for the counties and the bureau to read.
with {{ county_names() }}

select
    finding.finding_id,
    finding.finding_kind,
    finding.submission_id,
    finding.return_code,
    finding.county_code,
    county.county_name,
    finding.period,
    finding.rule_id,
    finding.level,
    finding.outcome,
    finding.status,
    finding.is_of_version_in_force,
    finding.is_of_newest_version,
    finding.file_name,
    finding.sheet,
    finding.cell,
    finding.source_row,
    finding.form_label,
    finding.row_label,
    finding.column_label,
    finding.value,
    finding.expected,
    finding.difference,
    finding.message,
    finding.remedy,
    finding.explanation,
    finding.explained_at,
    finding.proposal,
    finding.waived_by_decision_n,
    finding.subject,
    finding.received_at
from {{ ref('int_finding') }} as finding
left join county on finding.county_code = county.county_code
order by finding.return_code, finding.county_code, finding.period, finding.sheet, finding.source_row, finding.finding_id
