-- Periods of the reporting calendar, and the calendar years that sum quarters and months.
with period as (
    select
        period,
        period_type,
        period_start,
        period_end,
        period_label
    from {{ source('control', 'calendar') }}
    union distinct
    select
        strftime(period_start, '%Y') as period,
        'calendar_year' as period_type,
        make_date(year(period_start), 1, 1) as period_start,
        make_date(year(period_start), 12, 31) as period_end,
        strftime(period_start, '%Y') || '年' as period_label
    from {{ source('control', 'calendar') }}
    where period_type in ('quarter', 'month')
)

select
    period,
    period_type,
    case period_type
        when 'school_year' then '学年'
        when 'semester' then '学期'
        when 'calendar_year' then '年度'
        when 'quarter' then '季度'
        when 'month' then '月度'
    end as period_type_name,
    period_label,
    case period_type
        when 'school_year' then 'School year ' || period
        when 'semester' then 'Semester ' || right(period, 1) || ', ' || left(period, 9)
        when 'calendar_year' then 'Year ' || period
        when 'quarter' then 'Quarter ' || right(period, 1) || ', ' || left(period, 4)
        when 'month' then 'Month ' || period
    end as period_label_en,
    period_start,
    period_end,
    cast(year(period_start) as integer) as start_year
from period
order by period
