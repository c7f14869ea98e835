-- Every indicator of every area: Σ numerator ÷ Σ denominator over the parts with both terms in force, never a mean of
-- rates, with what is missing beside it. The one place where indicators are rolled up.
{% set terms = ('numerator', 'numerator_base', 'denominator', 'denominator_base') %}
-- A county counts when all its parts of the period are there: three quarters are no year.
with county_figure as (
    select
        indicator_code,
        caliber_id,
        period,
        county_code,
        any_value(calendar_year) as calendar_year,
        any_value(city_code) as city_code,
        any_value(sort_order) as sort_order,
        any_value(is_period_spanned) as is_period_spanned,
        any_value(is_period_spanned_by_all) as is_period_spanned_by_all,
        list(part_period) as part_periods,
        min(population_vintage_from) as population_vintage_from,
        max(population_vintage_to) as population_vintage_to,
        any_value(population_source) as population_source,
        bool_and(has_both_terms) as has_both_terms,
        string_agg(
            county_name || case when part_period != period then '（' || part_period || '）' else '' end,
            '、' order by part_period
        ) filter (where not has_both_terms) as missing_parts,
        {% for term in terms %}
            sum({{ term }}) as {{ term }},
        {% endfor %}
        case when count(*) = 1 then any_value(numerator_submission_id) end as numerator_submission_id,
        case when count(*) = 1 then any_value(denominator_submission_id) end as denominator_submission_id,
        max(known_at) as known_at,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) as is_revised
    from {{ ref('int_indicator_term') }}
    group by indicator_code, caliber_id, period, county_code
),

placed_figure as (
    select
        county_figure.*,
        area_level.is_city,
        case when area_level.is_city then county_figure.city_code else county_figure.county_code end as area_code
    from county_figure
    cross join (values (false), (true)) as area_level (is_city)
),

rolled_up as (
    select
        indicator_code,
        caliber_id,
        period,
        area_code,
        any_value(calendar_year) as calendar_year,
        count(*) as expected_n,
        count(*) filter (where has_both_terms) as coverage_n,
        -- A county that was there for a part of the year has a part of it; of the city's its successor has the rest.
        bool_and(
            coalesce(case when is_city then is_period_spanned_by_all else is_period_spanned end, true)
        ) as is_period_spanned,
        list_sort(list_distinct(flatten(list(part_periods)))) as part_periods,
        min(population_vintage_from) filter (where has_both_terms) as population_vintage_from,
        max(population_vintage_to) filter (where has_both_terms) as population_vintage_to,
        min(population_source) filter (where has_both_terms) as population_source,
        count(distinct population_source) filter (where has_both_terms) as population_sources_n,
        string_agg(missing_parts, '、' order by sort_order, county_code) as missing_areas,
        {% for term in terms %}
            cast(sum({{ term }}) filter (where has_both_terms) as decimal(38, 2)) as {{ term }},
        {% endfor %}
        case when not any_value(is_city) then any_value(numerator_submission_id) end as numerator_submission_id,
        case when not any_value(is_city) then any_value(denominator_submission_id) end as denominator_submission_id,
        max(known_at) filter (where has_both_terms) as known_at,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) filter (where has_both_terms) as is_revised
    from placed_figure
    group by indicator_code, caliber_id, period, area_code
),

judged as (
    select
        rolled_up.indicator_code,
        rolled_up.caliber_id,
        rolled_up.period,
        rolled_up.area_code,
        rolled_up.expected_n,
        rolled_up.coverage_n,
        rolled_up.missing_areas,
        rolled_up.numerator_submission_id,
        rolled_up.denominator_submission_id,
        rolled_up.known_at,
        rolled_up.is_settled,
        rolled_up.is_revised,
        case
            when rolled_up.population_vintage_from = rolled_up.population_vintage_to
                then cast(rolled_up.population_vintage_from as varchar)
            else rolled_up.population_vintage_from || ' 至 ' || rolled_up.population_vintage_to
        end as population_vintage_on,
        case
            when rolled_up.population_sources_n = 1 then rolled_up.population_source
            else rolled_up.population_source || '等 ' || rolled_up.population_sources_n || ' 种来源'
        end as population_source,
        case
            when not rolled_up.is_period_spanned
                then '；只含 ' || array_to_string(rolled_up.part_periods, '、') || '，不是全年'
            else ''
        end as part_of_period,
        indicators.unit,
        indicators.factor,
        indicators.measure,
        indicators.zero_denominator,
        standard.standard,
        standard.comparison,
        {{ coverage_status(
            'rolled_up.coverage_n', 'rolled_up.expected_n', 'run.withhold_below', 'rolled_up.is_period_spanned'
        ) }} as coverage_status,
        rolled_up.numerator as numerator_known,
        rolled_up.numerator_base as numerator_base_known,
        rolled_up.denominator as denominator_known,
        rolled_up.denominator_base as denominator_base_known
    from rolled_up
    inner join {{ ref('indicators') }} as indicators on rolled_up.indicator_code = indicators.indicator_code
    left join {{ ref('int_standard') }} as standard
        on
            rolled_up.indicator_code = standard.indicator_code
            and rolled_up.area_code = standard.area_code
            and rolled_up.calendar_year = standard.calendar_year
    cross join {{ source('control', 'run') }} as run
),

-- A withheld figure shows none of its terms either.
given as (
    select
        *,
        case when coverage_status != 'withheld' then numerator_known end as numerator_sum,
        case when coverage_status != 'withheld' then numerator_base_known end as numerator_base_sum,
        case when coverage_status != 'withheld' then denominator_known end as denominator_sum,
        case when coverage_status != 'withheld' then denominator_base_known end as denominator_base_sum
    from judged
),

computed as (
    select
        *,
        {{ cross_numerator('numerator_sum', 'denominator_base_sum') }} as cross_numerator,
        {{ cross_denominator('numerator_base_sum', 'denominator_sum') }} as cross_denominator,
        -- Over nobody there is no average, and a ratio of it would read 0.
        case
            when coalesce(numerator_base_sum, 1) > 0 and coalesce(denominator_base_sum, 1) > 0
                then {{ rate_of_averages(
                    'numerator_sum', 'numerator_base_sum', 'denominator_sum', 'denominator_base_sum', 'factor'
                ) }}
        end as value,
        case
            when measure not in ('ratio', 'gender_parity') then numerator_sum
            when measure = 'ratio' then {{ rate('numerator_sum', 'numerator_base_sum') }}
            else {{ rate('numerator_sum', 'numerator_base_sum', 100) }}
        end as numerator,
        case
            when measure not in ('ratio', 'gender_parity') then denominator_sum
            when measure = 'ratio' then {{ rate('denominator_sum', 'denominator_base_sum') }}
            else {{ rate('denominator_sum', 'denominator_base_sum', 100) }}
        end as denominator
    from given
),

formula as (
    select
        *,
        case
            when numerator_base_sum is not null and measure in ('ratio', 'gender_parity')
                then
                    '(' || {{ plain_number('numerator_sum') }} || ' ÷ ' || {{ plain_number('numerator_base_sum') }}
                    || ') ÷ (' || {{ plain_number('denominator_sum') }} || ' ÷ '
                    || {{ plain_number('denominator_base_sum') }} || ')'
            else {{ plain_number('numerator_sum') }} || ' ÷ ' || {{ plain_number('denominator_sum') }}
        end
        || case when factor != 1 then ' × ' || cast(factor as varchar) else '' end as worked_terms
    from computed
)

select
    indicator_code,
    caliber_id,
    period,
    area_code,
    cast(numerator as decimal(38, 4)) as numerator,
    cast(denominator as decimal(38, 4)) as denominator,
    value,
    unit,
    cast(coverage_n as integer) as coverage_n,
    cast(expected_n as integer) as expected_n,
    coalesce(missing_areas, '') as missing_areas,
    case
        when coverage_status = 'withheld' then 'withheld'
        when value is not null then coverage_status
        when cross_numerator = 0 and cross_denominator = 0 then 'not_applicable'
        else zero_denominator
    end as status,
    {{ finality('coverage_status', 'is_settled', 'is_revised') }} as finality,
    case
        when coverage_status = 'withheld' then '不予公布：已报 ' || coverage_n || '/' || expected_n
        when value is not null
            then worked_terms || ' = ' || cast(value as varchar) || case unit when '比值' then '' else ' ' || unit end
        else worked_terms || '：分母为 0，不能计算'
    end
    || case
        when coverage_status = 'withheld' then ''
        else coalesce('；人口时点 ' || population_vintage_on || '，来源：' || population_source, '') || part_of_period
    end as formula,
    numerator_sum,
    numerator_base_sum,
    denominator_sum,
    denominator_base_sum,
    standard,
    -- Judged on the unrounded terms.
    case
        when value is not null and standard is not null
            then {{ meets_standard('cross_numerator', 'cross_denominator', 'standard', 'comparison', 'factor') }}
    end as is_standard_met,
    population_vintage_on,
    population_source,
    numerator_submission_id,
    denominator_submission_id,
    known_at
from formula
order by indicator_code, caliber_id, period, area_code
