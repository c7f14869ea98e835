-- The filings in force, with what their period is and what policy says of the county on its last day: what every rule
-- across filings is asked of.
with county as (
    select
        county_code,
        max_by(city_code, valid_from) as city_code
    from {{ source('control', 'county') }}
    group by county_code
),

category as (
    select
        period.period,
        category.county_code,
        max_by(category.category, category.valid_from) as hardship_category
    from {{ source('control', 'period') }} as period
    inner join {{ source('policy', 'hardship_categories') }} as category
        on
            period.ends_on >= category.valid_from
            and (category.valid_to is null or period.ends_on < category.valid_to)
    group by period.period, category.county_code
)

select
    filing.return_code,
    filing.county_code,
    county.city_code,
    filing.period,
    filing.submission_id,
    filing.screening_seq,
    period.before_period,
    period.before_label,
    period.months_n,
    period.school_year,
    period.calendar_year,
    period.starts_on,
    period.ends_on,
    category.hardship_category
from {{ ref('stg_filing') }} as filing
inner join {{ source('control', 'period') }} as period on filing.period = period.period
left join county on filing.county_code = county.county_code
left join category on filing.county_code = category.county_code and filing.period = category.period
where filing.is_in_force
