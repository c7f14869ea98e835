-- The standard that an indicator is held against, by area and calendar year: of the nearest scope that has one
-- (the county's own, its city's, its province's, the country's). One that is judged at the municipality only is no
-- standard of a county (is_judged is false, its standard null): none further away takes its place.
{{ config(materialized='view') }}
with area_year as (
    select distinct
        county_code as area_code,
        city_code,
        province_code,
        calendar_year,
        false as is_city
    from {{ ref('stg_expected_filing') }}
    union distinct
    select distinct
        city_code as area_code,
        city_code,
        province_code,
        calendar_year,
        true as is_city
    from {{ ref('stg_expected_filing') }}
),

nearest as (
    select
        standards.indicator_code,
        area_year.area_code,
        area_year.calendar_year,
        standards.value as standard,
        standards.comparison,
        standards.is_sample as standard_is_sample,
        coalesce(standards.judged_at, '') != 'municipal' or area_year.is_city as is_judged
    from area_year
    inner join {{ source('policy', 'standards') }} as standards
        on
            standards.level = 'area'
            and standards.scope_code in (area_year.area_code, area_year.city_code, area_year.province_code, 'CN')
            and cast(area_year.calendar_year as integer) >= standards.year_from
            and (standards.year_to is null or cast(area_year.calendar_year as integer) <= standards.year_to)
    qualify row_number() over (
        partition by standards.indicator_code, area_year.area_code, area_year.calendar_year
        order by
            case standards.scope_code
                when area_year.area_code then 1
                when area_year.city_code then 2
                when area_year.province_code then 3
                else 4
            end,
            standards.year_from desc
    ) = 1
)

select
    indicator_code,
    area_code,
    calendar_year,
    is_judged,
    case when is_judged then standard end as standard,
    comparison,
    case when is_judged then standard_is_sample end as standard_is_sample
from nearest
