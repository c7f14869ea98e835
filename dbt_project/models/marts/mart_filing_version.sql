-- Every version of every filing in the order received, and what came of it.
with {{ county_names() }},

versions as (
    select
        *,
        min(version_n) over (
            partition by return_code, county_code, period, content_digest
        ) as first_version_with_values_n
    from {{ ref('stg_filing') }}
    where is_identified and not is_reply
)

select
    versions.return_code,
    versions.county_code,
    county.county_name,
    versions.period,
    cast(versions.version_n as integer) as version_n,
    versions.submission_id,
    left(versions.submission_id, 16) as receipt_number,
    versions.file_name,
    versions.received_at,
    versions.return_version,
    versions.verdict,
    versions.is_returned,
    versions.is_newest,
    versions.is_in_force,
    versions.errors_n,
    versions.queries_n,
    versions.infos_n,
    versions.waived_n,
    versions.rows_n,
    case
        when versions.rows_n > 0 and versions.first_version_with_values_n < versions.version_n
            then cast(versions.first_version_with_values_n as integer)
    end as same_values_as_version_n,
    versions.rule_set_version
from versions
left join county on versions.county_code = county.county_code
order by versions.return_code, versions.county_code, versions.period, versions.version_n
