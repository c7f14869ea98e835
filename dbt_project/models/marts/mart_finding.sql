-- What stands to be fixed or explained: findings of the newest version and of the version in force of each filing, by
-- its latest screening; findings against other periods and returns; and those of files nobody could identify.
with latest_screening as (
    select
        submission_id,
        screening_seq,
        min(received_at) as received_at,
        -- A file that fills no filing is superseded by nothing; another by what supersedes all of its filings.
        coalesce(bool_or(is_in_force or is_newest) filter (where is_identified), true) as is_current
    from {{ ref('stg_filing') }}
    group by all
),

file_finding as (
    select
        finding.*,
        -- The same bytes may have come from two counties, at two times.
        coalesce(filing.received_at, latest_screening.received_at) as received_at,
        'file' as finding_kind,
        coalesce(filing.is_in_force, false) as is_of_version_in_force,
        coalesce(filing.is_newest, true) as is_of_newest_version
    from {{ source('landing', 'finding') }} as finding
    inner join latest_screening
        on
            finding.submission_id = latest_screening.submission_id
            and finding.screening_seq = latest_screening.screening_seq
    left join {{ ref('stg_filing') }} as filing
        on
            finding.submission_id = filing.submission_id
            and finding.return_code = filing.return_code
            and finding.county_code = filing.county_code
            and finding.period = filing.period
    -- A finding without a filing is of the file as a whole, or of a sheet that nobody could identify.
    where filing.is_in_force or filing.is_newest or (filing.submission_id is null and latest_screening.is_current)
),

latest_evaluation as (
    select
        submission_id,
        return_code,
        county_code,
        period,
        max(evaluation_seq) as evaluation_seq
    from {{ source('landing', 'context_evaluation') }}
    group by all
),

context_finding as (
    select
        finding.*,
        filing.received_at,
        'context' as finding_kind,
        true as is_of_version_in_force,
        filing.is_newest as is_of_newest_version
    from {{ source('landing', 'context_finding') }} as finding
    inner join latest_evaluation as latest
        on
            finding.submission_id = latest.submission_id
            and finding.return_code = latest.return_code
            and finding.county_code = latest.county_code
            and finding.period = latest.period
            and finding.evaluation_seq = latest.evaluation_seq
    inner join {{ ref('stg_filing') }} as filing
        on
            finding.submission_id = filing.submission_id
            and finding.return_code = filing.return_code
            and finding.county_code = filing.county_code
            and finding.period = filing.period
            and filing.is_in_force
),

finding as (
    select * from file_finding
    union all by name
    select * from context_finding
),

county as (
    select
        county_code,
        arg_max(county_name, valid_from) as county_name
    from {{ source('control', 'county') }}
    group by county_code
)

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
    finding.received_at
from finding
left join county on finding.county_code = county.county_code
order by finding.return_code, finding.county_code, finding.period, finding.sheet, finding.source_row, finding.finding_id
