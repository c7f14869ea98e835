-- Every filing that is expected: the reporting calendar times the counties that exist on the return's reference day.
{{ config(materialized='table') }}
{% set year_days = 'dayofyear(make_date(year(calendar.period_start), 12, 31))' %}
with year_of_parts as (
    select
        return_code,
        strftime(period_start, '%Y') as calendar_year,
        sum(period_end - period_start + 1) as days_n
    from {{ source('control', 'calendar') }}
    where period_type in ('quarter', 'month')
    group by all
),

expected as (
    select
        calendar.return_code,
        county.county_code,
        calendar.period,
        calendar.period_type,
        calendar.period_start,
        calendar.period_end,
        calendar.reference_on,
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
        end as school_year,
        -- Do the quarters or months that the county files make up the whole year? Two quarters are no year, be it
        -- that the calendar has no others or that the county was not there for them.
        year_of_parts.days_n is null
        or sum(calendar.period_end - calendar.period_start + 1) over (
            partition by calendar.return_code, county.county_code, strftime(calendar.period_start, '%Y')
        ) = {{ year_days }} as is_year_spanned,
        -- Do those of the calendar, whoever files them? What a county no longer files, its successor does.
        year_of_parts.days_n is null or year_of_parts.days_n = {{ year_days }} as is_year_spanned_by_all
    from {{ source('control', 'calendar') }} as calendar
    inner join {{ source('control', 'county') }} as county
        on
            calendar.reference_on >= county.valid_from
            and (county.valid_to is null or calendar.reference_on < county.valid_to)
    left join year_of_parts
        on
            calendar.return_code = year_of_parts.return_code
            and strftime(calendar.period_start, '%Y') = year_of_parts.calendar_year
),

-- The day of the school register in whose school year a filing lies.
register as (
    select
        period as school_year,
        reference_on
    from {{ source('control', 'calendar') }}
    where return_code = 'school'
)

select
    expected.*,
    -- Have the county's schools been its own since then? Those from another county stand in that one's register.
    not exists (
        select 1
        from register
        inner join {{ source('control', 'county_successor') }} as link
            on register.reference_on < link.valid_from
        where
            register.school_year = expected.school_year
            and link.valid_from <= expected.reference_on
            and expected.county_code in (link.county_code, link.successor_code)
    ) as is_register_of_the_county
from expected
