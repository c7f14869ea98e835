-- Each indicator of each area at a glance: the newest period with a figure beside the one before, the standard and the
-- verdict, by the default caliber. Read from fct_indicator; nothing is computed here but the difference.
-- A calendar year that merely sums quarters or months stands aside for these, as the return is filed for them.
with dated as (
    select
        fact.*,
        indicators.indicator_name,
        indicators.return_code,
        indicators.sort_order as indicator_order,
        period.period_type,
        period.period_start,
        period.start_year,
        period.period_label
    from {{ ref('fct_indicator') }} as fact
    inner join {{ ref('dim_indicator') }} as indicators on fact.indicator_code = indicators.indicator_code
    inner join {{ ref('dim_caliber') }} as caliber on fact.caliber_id = caliber.caliber_id
    inner join {{ ref('dim_period') }} as period on fact.period = period.period
    where
        caliber.is_default
        and exists (
            select 1
            from {{ source('control', 'calendar') }} as calendar
            where calendar.return_code = indicators.return_code and calendar.period = fact.period
        )
),

-- All indicators of a return are shown for the same period, so that a row can be read across.
newest as (
    select
        return_code,
        max(period_start) filter (where value is not null) as newest_start,
        max(period_start) as last_start
    from dated
    group by return_code
),

area as (
    select
        area_code,
        arg_max(area_name, valid_from) as area_name,
        arg_max(sort_order, valid_from) as area_order,
        bool_or(area_level = 'city') as is_city
    from {{ ref('dim_area') }}
    group by area_code
),

sequence as (
    select
        dated.*,
        lag(dated.period) over before as previous_period,
        lag(dated.period_label) over before as previous_period_label,
        lag(dated.value) over before as previous_value
    from dated
    window before as (
        partition by dated.indicator_code, dated.caliber_id, dated.area_code order by dated.period_start, dated.period
    )
)

select
    sequence.area_code,
    area.area_name,
    sequence.indicator_code,
    sequence.indicator_name,
    sequence.unit,
    sequence.caliber_id,
    sequence.period,
    sequence.period_label,
    sequence.value,
    sequence.status,
    sequence.finality,
    sequence.previous_period,
    sequence.previous_period_label,
    sequence.previous_value,
    cast(sequence.value - sequence.previous_value as decimal(38, 4)) as change,
    sequence.standard,
    sequence.is_standard_met,
    sequence.policy_is_sample,
    sequence.standard_is_sample,
    case
        when sequence.value is null then '无数据'
        when sequence.status = 'implausible' then '不判定'
        when not standard.is_judged then '不评定'
        when sequence.standard is null then '无标准'
        when sequence.is_standard_met then '达标'
        when not sequence.is_standard_met then '未达标'
    end as verdict,
    sequence.coverage_n,
    sequence.expected_n,
    sequence.missing_areas,
    sequence.implausible_areas,
    sequence.open_queries_n,
    sequence.heaviest_rule_id,
    sequence.heaviest_query
from sequence
inner join newest
    on
        sequence.return_code = newest.return_code
        and sequence.period_start = coalesce(newest.newest_start, newest.last_start)
inner join area on sequence.area_code = area.area_code
left join {{ ref('int_standard') }} as standard
    on
        sequence.indicator_code = standard.indicator_code
        and sequence.area_code = standard.area_code
        and cast(sequence.start_year as varchar) = standard.calendar_year
order by area.area_order, sequence.area_code, sequence.indicator_order, sequence.indicator_code
