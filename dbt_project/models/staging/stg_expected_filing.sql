-- Every filing that is expected: the reporting calendar times the counties that exist at the period's end.
select
    calendar.return_code,
    county.county_code,
    calendar.period,
    calendar.period_type,
    calendar.period_start,
    calendar.period_end,
    calendar.period_label,
    calendar.due_on,
    county.county_name,
    county.city_code,
    county.city_name,
    county.province_code,
    county.sort_order,
    -- The calendar year that stands against the period: 2024 for 2024, 2024Q3, 2024-03 and school year 2024-2025.
    strftime(calendar.period_start, '%Y') as calendar_year,
    -- The school year in whose course the period ends.
    case
        when month(calendar.period_end) >= 9 or calendar.period_type = 'school_year'
            then strftime(calendar.period_start, '%Y') || '-' || cast(year(calendar.period_start) + 1 as varchar)
        else cast(year(calendar.period_end) - 1 as varchar) || '-' || strftime(calendar.period_end, '%Y')
    end as school_year
from {{ source('control', 'calendar') }} as calendar
inner join {{ source('control', 'county') }} as county
    on
        calendar.period_end >= county.valid_from
        and (county.valid_to is null or calendar.period_end < county.valid_to)
