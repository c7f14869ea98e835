-- Every indicator of every area: Σ numerator ÷ Σ denominator over the parts with both terms in force, never a mean of
-- rates, with what is missing beside it. The one place where indicators are rolled up.
{% set terms = figure_terms() %}
-- A county counts when all its parts of the period are there (three quarters are no year) and make a figure of its own.
with county_figure as (
    select
        term.indicator_code,
        term.caliber_id,
        term.period,
        term.county_code,
        any_value(term.county_name) as county_name,
        any_value(term.calendar_year) as calendar_year,
        any_value(term.city_code) as city_code,
        any_value(term.sort_order) as sort_order,
        any_value(term.is_period_spanned) as is_period_spanned,
        any_value(term.is_period_spanned_by_all) as is_period_spanned_by_all,
        list(term.part_period) as part_periods,
        min(term.population_vintage_from) as population_vintage_from,
        max(term.population_vintage_to) as population_vintage_to,
        any_value(term.population_source) as population_source,
        any_value(term.is_covered) as is_covered,
        any_value(term.is_implausible) as is_implausible,
        any_value(term.county_status) as county_status,
        {{ missing_parts('term') }} as missing_parts,
        {% for side in terms %}
            sum(term.{{ side }}) as {{ side }},
        {% endfor %}
        case when count(*) = 1 then any_value(term.numerator_submission_id) end as numerator_submission_id,
        case when count(*) = 1 then any_value(term.denominator_submission_id) end as denominator_submission_id,
        max(term.known_at) as known_at,
        bool_and(term.is_settled) as is_settled,
        bool_or(term.is_revised) as is_revised
    from {{ ref('int_indicator_term') }} as term
    group by term.indicator_code, term.caliber_id, term.period, term.county_code
),

placed_figure as (
    select
        county_figure.*,
        area_level.is_city,
        case when area_level.is_city then county_figure.city_code else county_figure.county_code end as area_code
    from county_figure
    cross join (values (false), (true)) as area_level (is_city)
),

-- Where every county has reported and none has a figure, what they reported is shown: it is why there is none.
summed_figure as (
    select
        *,
        is_covered or (
            bool_and(not is_covered and county_status != 'missing')
                over (partition by indicator_code, caliber_id, period, area_code)
        ) as is_summed
    from placed_figure
),

rolled_up as (
    select
        indicator_code,
        caliber_id,
        period,
        area_code,
        any_value(calendar_year) as calendar_year,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        bool_and(is_summed and not is_covered) as is_undefined,
        bool_or(county_status = 'error') as has_error,
        -- A county that was there for a part of the year has a part of it; of the city's its successor has the rest.
        bool_and(
            coalesce(case when is_city then is_period_spanned_by_all else is_period_spanned end, true)
        ) as is_period_spanned,
        list_sort(list_distinct(flatten(list(part_periods)))) as part_periods,
        min(population_vintage_from) filter (where is_summed) as population_vintage_from,
        max(population_vintage_to) filter (where is_summed) as population_vintage_to,
        min(population_source) filter (where is_summed) as population_source,
        count(distinct population_source) filter (where is_summed) as population_sources_n,
        string_agg(missing_parts, '、' order by sort_order, county_code) as missing_areas,
        string_agg(county_name, '、' order by sort_order, county_code) filter (
            where is_implausible
        ) as implausible_areas,
        {% for side in terms %}
            cast(sum({{ side }}) filter (where is_summed) as decimal(38, 2)) as {{ side }},
        {% endfor %}
        case when not any_value(is_city) then any_value(numerator_submission_id) end as numerator_submission_id,
        case when not any_value(is_city) then any_value(denominator_submission_id) end as denominator_submission_id,
        max(known_at) filter (where is_summed) as known_at,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) filter (where is_summed) as is_revised
    from summed_figure
    group by indicator_code, caliber_id, period, area_code
),

-- The queries that stand open against the filings that a figure rests on, by rule: of an area's own filings, and for
-- the city of the counties that it covers. A filing that gives both terms counts once.
filing_of_figure as (
    {% for side in ('numerator', 'denominator') %}
        select
            indicator_code,
            caliber_id,
            period,
            county_code,
            county_name,
            city_code,
            sort_order,
            is_covered,
            {{ side }}_return as return_code,
            {{ side }}_period as filing_period
        from {{ ref('int_indicator_term') }}
        {{ 'union distinct' if not loop.last }}
    {% endfor %}
),

open_query as (
    select
        return_code,
        county_code,
        period,
        rule_id,
        any_value(level) as level,
        count(*) as queries_n,
        arg_min(message, finding_id) as message
    from {{ ref('int_finding') }}
    where outcome = 'query' and status = 'open' and is_of_version_in_force
    group by return_code, county_code, period, rule_id
),

query_of_area as (
    select
        filing.indicator_code,
        filing.caliber_id,
        filing.period,
        case when area_level.is_city then filing.city_code else filing.county_code end as area_code,
        open_query.rule_id,
        -- What may have entered a sum twice or cannot be right weighs more than what differs from elsewhere or before.
        min(
            case open_query.level when '3' then 1 when '4' then 2 when '5' then 3 when '2b' then 4 else 5 end
        ) as weight,
        sum(open_query.queries_n) as queries_n,
        arg_min(
            case when area_level.is_city then filing.county_name || '：' else '' end || open_query.message,
            (filing.sort_order, filing.county_code, filing.filing_period, filing.return_code)
        ) as message
    from filing_of_figure as filing
    inner join open_query
        on
            filing.return_code = open_query.return_code
            and filing.county_code = open_query.county_code
            and filing.filing_period = open_query.period
    cross join (values (false), (true)) as area_level (is_city)
    where filing.is_covered or not area_level.is_city
    group by all
),

asked as (
    select
        indicator_code,
        caliber_id,
        period,
        area_code,
        sum(queries_n) as open_queries_n,
        arg_min(rule_id, (weight, -queries_n, rule_id)) as heaviest_rule_id,
        arg_min(message, (weight, -queries_n, rule_id)) as heaviest_query
    from query_of_area
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
        rolled_up.implausible_areas,
        rolled_up.has_error,
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
        standard.standard_is_sample,
        {{ coverage_status(
            'rolled_up.coverage_n', 'rolled_up.expected_n', 'run.withhold_below', 'rolled_up.is_period_spanned',
            'rolled_up.is_undefined'
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
        -- Averages, and the two rates of a parity index in per cent. Each branch is DECIMAL(38,4): a CASE gives all of
        -- them one type, and beside a DECIMAL(38,2) it would be that, which cuts an average to cents.
        {% for side in ('numerator', 'denominator') %}
            case
                when {{ side }}_base_sum is null then cast({{ side }}_sum as decimal(38, 4))
                else {{ rate(
                    side ~ '_sum', side ~ '_base_sum', "(case measure when 'gender_parity' then 100 else 1 end)"
                ) }}
            end as {{ side }},
        {% endfor %}
        -- Over nobody there is no average, and a ratio of it would read 0. Where no county has a figure the area has
        -- none.
        case
            when
                coverage_status != 'undefined'
                and coalesce(numerator_base_sum, 1) > 0
                and coalesce(denominator_base_sum, 1) > 0
                then {{ rate_of_averages(
                    'numerator_sum', 'numerator_base_sum', 'denominator_sum', 'denominator_base_sum', 'factor'
                ) }}
        end as value
    from given
),

formula as (
    select
        *,
        case
            when numerator_base_sum is not null
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
    formula.indicator_code,
    formula.caliber_id,
    formula.period,
    formula.area_code,
    formula.numerator,
    formula.denominator,
    formula.value,
    formula.unit,
    cast(formula.coverage_n as integer) as coverage_n,
    cast(formula.expected_n as integer) as expected_n,
    coalesce(formula.missing_areas, '') as missing_areas,
    coalesce(formula.implausible_areas, '') as implausible_areas,
    {{ figure_status(
        'formula.coverage_status', 'formula.value', 'formula.implausible_areas is not null', 'formula.has_error',
        'formula.cross_numerator', 'formula.cross_denominator', 'formula.zero_denominator'
    ) }} as status,
    {{ finality('formula.coverage_status', 'formula.is_settled', 'formula.is_revised') }} as finality,
    case
        when formula.coverage_status = 'withheld'
            then '不予公布：计入 ' || formula.coverage_n || '/' || formula.expected_n
        when formula.value is not null
            then
                formula.worked_terms || ' = ' || cast(formula.value as varchar)
                || case formula.unit when '比值' then '' else ' ' || formula.unit end
        when formula.cross_denominator > 0 and coalesce(formula.denominator_base_sum, 1) > 0
            then formula.worked_terms || '：' || formula.missing_areas || '，不能计算'
        else formula.worked_terms || '：分母为 0，不能计算'
    end
    || case
        when formula.coverage_status = 'withheld' then ''
        else
            coalesce('；人口时点 ' || formula.population_vintage_on || '，来源：' || formula.population_source, '')
            || formula.part_of_period
    end as formula,
    formula.numerator_sum,
    formula.numerator_base_sum,
    formula.denominator_sum,
    formula.denominator_base_sum,
    formula.standard,
    -- Judged on the unrounded terms, and not at all where a county in it has a share above what is possible.
    case
        when formula.value is not null and formula.implausible_areas is null and formula.standard is not null
            then {{ meets_standard(
                'formula.cross_numerator', 'formula.cross_denominator', 'formula.standard', 'formula.comparison',
                'formula.factor'
            ) }}
    end as is_standard_met,
    coalesce(basis.policy_is_sample, false) as policy_is_sample,
    formula.standard_is_sample,
    formula.population_vintage_on,
    formula.population_source,
    cast(coalesce(asked.open_queries_n, 0) as integer) as open_queries_n,
    coalesce(asked.heaviest_rule_id, '') as heaviest_rule_id,
    coalesce(asked.heaviest_query, '') as heaviest_query,
    formula.numerator_submission_id,
    formula.denominator_submission_id,
    formula.known_at
from formula
left join {{ ref('int_policy_basis') }} as basis
    on formula.indicator_code = basis.indicator_code and formula.caliber_id = basis.caliber_id
left join asked
    on
        formula.indicator_code = asked.indicator_code
        and formula.caliber_id = asked.caliber_id
        and formula.period = asked.period
        and formula.area_code = asked.area_code
order by formula.indicator_code, formula.caliber_id, formula.period, formula.area_code
