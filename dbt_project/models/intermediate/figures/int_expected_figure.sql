-- Every figure of a county that is expected: indicator, caliber and period of the county's expected parts; of quarters
-- and months that add up the calendar year too.
{{ config(materialized='view') }}
select
    indicator.indicator_code,
    indicator.layer,
    indicator.shape,
    calibers.caliber_id,
    calibers.caliber_kind,
    expected.return_code as anchor_return,
    expected.county_code,
    expected.period as part_period,
    case when span.is_year then expected.calendar_year else expected.period end as period,
    case when span.is_year then 'calendar_year' else expected.period_type end as period_type,
    span.is_year,
    expected.period_start,
    expected.calendar_year,
    expected.school_year,
    expected.reference_on,
    expected.county_name,
    expected.city_code,
    expected.sort_order,
    not span.is_year or expected.is_year_spanned as is_period_spanned,
    not span.is_year or expected.is_year_spanned_by_all as is_period_spanned_by_all
from {{ source('declared', 'indicator') }} as indicator
inner join {{ ref('int_caliber') }} as calibers
    on coalesce(indicator.caliber_kind, 'as_reported') = calibers.caliber_kind
inner join {{ ref('stg_expected_filing') }} as expected
    on
        indicator.anchor_return = expected.return_code
        and calibers.valid_from <= expected.period_start
        and (calibers.valid_to is null or calibers.valid_to > expected.period_start)
inner join (values (false), (true)) as span (is_year)
    on not span.is_year or (expected.period_type in ('quarter', 'month') and indicator.over_year = 'sum')
