{#
    From what counties contribute to figures, by one way for every shape: what a county's own figure is and whether it counts
    (county_parts), and Σ over the counties that count (figures).
#}

{# Sums of a role: DECIMAL with six places, for means of coefficients; what cells hold has two. #}
{% macro sum_type() -%}
    decimal(38, 6)
{%- endmacro %}

{#
    Ends a model of parts: of a relation with the four sums of every part of a period (see int_part_0) the same with the county's
    status. county_status, the same for all parts of a county's period: covered; missing (a term lacks in some part); error
    or not_applicable (over a zero there is no figure, or what is counted does not exist there). Only what is covered enters
    a sum (is_covered), and what does not exist there and adds nothing to any side: the answer is there, and it is nothing.
#}
{% macro county_parts(parts) -%}
indicator as (
    select
        indicator.indicator_code,
        indicator.factor,
        indicator.zero_denominator,
        coalesce(plausible.impossible_above, indicator.ceiling) as ceiling,
        indicator.shape,
        {{ scale_of('indicator.indicator_code') }} as scale
    from {{ source('declared', 'indicator') }} as indicator
    left join {{ source('policy', 'plausible') }} as plausible on indicator.indicator_code = plausible.indicator_code
),

-- The county's own sums over the parts of the period.
of_county as (
    select
        part.indicator_code,
        part.caliber_id,
        part.period,
        part.county_code,
        max(indicator.factor) as factor,
        max(indicator.scale) as scale,
        max(indicator.zero_denominator) as zero_denominator,
        -- Under another caliber the numerator is no part of the denominator.
        max(case when calibers.is_default then indicator.ceiling end) as ceiling,
        bool_and(part.has_terms) as has_terms,
        bool_and(part.is_nothing or part.is_lacking_kind) as is_absent,
        bool_and(part.is_nothing) as is_nothing,
        {% for side in figure_terms() %}
            sum(part.{{ side }}) as {{ side }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ parts }} as part
    inner join indicator on part.indicator_code = indicator.indicator_code
    left join {{ ref('int_caliber') }} as calibers on part.caliber_id = calibers.caliber_id
    group by part.indicator_code, part.caliber_id, part.period, part.county_code
),

crossed as (
    select
        of_county.*,
        {{ cross_numerator('of_county.numerator', 'of_county.denominator_base', 'of_county.scale') }} as cross_numerator,
        {{ cross_denominator(
            'of_county.numerator_base', divisor_of('of_county', 'indicator.shape'), 'of_county.scale'
        ) }} as cross_denominator
    from of_county
    inner join indicator on of_county.indicator_code = indicator.indicator_code
),

status_of_county as (
    select
        *,
        case
            when not has_terms then 'missing'
            when is_absent and cross_numerator = 0 then 'not_applicable'
            when cross_denominator > 0 and coalesce(denominator_base, 1) > 0 then 'covered'
            when cross_numerator = 0 and cross_denominator = 0 then 'not_applicable'
            else zero_denominator
        end as county_status
    from crossed
),

counted_county as (
    select
        *,
        county_status = 'covered'
        or (
            county_status = 'not_applicable'
            and is_nothing
            {% for side in figure_terms() %}
                and coalesce({{ side }}, 0) = 0
            {% endfor %}
        ) as is_covered,
        county_status = 'covered'
        and coalesce(
            cross_numerator * factor * 10000 > cast(ceiling * 10000 as {{ whole_type() }}) * cross_denominator, false
        ) as is_implausible
    from status_of_county
)

select
    part.indicator_code,
    part.caliber_id,
    part.period,
    part.calendar_year,
    part.county_code,
    part.county_name,
    part.city_code,
    part.sort_order,
    part.part_period,
    part.reference_on,
    part.is_period_spanned,
    part.is_period_spanned_by_all,
    part.has_terms,
    county.county_status,
    county.is_covered,
    county.is_implausible,
    -- Why the county is in no sum; '' where it is, or where the filing or a cell is simply not there.
    case
        when county.is_covered then ''
        when not part.has_terms then part.lacking
        when county.county_status = 'missing' then ''
        when county.is_absent and part.absent_words != '' then part.absent_words
        else '分母为 0'
    end as lacking,
    {% for side in figure_terms() %}
        part.{{ side }},
    {% endfor %}
    part.first_submission_id,
    case when part.returns_n = 1 then part.first_submission_id else part.second_submission_id end as second_submission_id,
    part.known_at,
    part.vintage_from,
    part.vintage_to,
    part.source_words,
    coalesce(part.is_settled, false) as is_settled,
    coalesce(part.is_revised, false) as is_revised
from {{ parts }} as part
inner join counted_county as county
    on
        part.indicator_code = county.indicator_code
        and part.caliber_id = county.caliber_id
        and part.period = county.period
        and part.county_code = county.county_code
{%- endmacro %}

{# In how many parts of a whole a term is reckoned: hundredths, or millionths where it has more places. #}
{% macro scale_of(indicator_code) -%}
    case
        when exists (
            select 1
            from {{ source('declared', 'indicator_of') }} as of_indicator
            where of_indicator.indicator_code = {{ indicator_code }} and of_indicator.relation in ('of', 'mean')
        ) or exists (
            select 1
            from {{ source('declared', 'indicator_term') }} as of_term
            inner join {{ source('declared', 'term') }} as weighed on of_term.term = weighed.term
            inner join {{ source('declared', 'return_rule') }} as weight
                on weighed.return_code = weight.return_code and weight.rule = 'weight'
            where of_term.indicator_code = {{ indicator_code }}
        ) then 1000000
        else 100
    end
{%- endmacro %}

{# What the numerator is divided by: the denominator, or 1 where the shape has none. #}
{% macro divisor_of(relation, shape) -%}
    case when {{ shape }} in ('count', 'change') then 1 else {{ relation }}.denominator end
{%- endmacro %}

{#
    Figures of counties and cities from a model of parts: Σ over the counties that count, never a mean of rates, with what is
    missing beside it; value, status, finality, formula and verdict. The one place where indicators are rolled up.
#}
{% macro figures(parts) -%}
{% set terms = figure_terms() %}
-- A county counts when all its parts of the period are there (three quarters are no year) and make a figure of its own.
with county_figure as (
    select
        part.indicator_code,
        part.caliber_id,
        part.period,
        part.county_code,
        max(part.county_name) as county_name,
        max(part.calendar_year) as calendar_year,
        max(part.city_code) as city_code,
        max(part.sort_order) as sort_order,
        bool_and(part.is_period_spanned) as is_period_spanned,
        bool_and(part.is_period_spanned_by_all) as is_period_spanned_by_all,
        min(part.vintage_from) as vintage_from,
        max(part.vintage_to) as vintage_to,
        max(part.source_words) as source_words,
        max(part.lacking) as lacking,
        bool_and(part.is_covered) as is_covered,
        bool_and(part.is_implausible) as is_implausible,
        max(part.county_status) as county_status,
        {{ missing_parts('part') }} as missing_parts,
        {% for side in terms %}
            sum(part.{{ side }}) as {{ side }},
        {% endfor %}
        case when count(*) = 1 then max(part.first_submission_id) end as numerator_submission_id,
        case when count(*) = 1 then max(part.second_submission_id) end as denominator_submission_id,
        max(part.known_at) as known_at,
        bool_and(part.is_settled) as is_settled,
        bool_or(part.is_revised) as is_revised
    from {{ parts }} as part
    group by part.indicator_code, part.caliber_id, part.period, part.county_code
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
        bool_and(is_city) as is_city,
        max(city_code) as city_code,
        max(calendar_year) as calendar_year,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        bool_and(is_summed and not is_covered) as is_undefined,
        bool_or(county_status = 'error') as has_error,
        -- A county that was there for a part of the year has a part of it; of the city's its successor has the rest.
        bool_and(
            coalesce(case when is_city then is_period_spanned_by_all else is_period_spanned end, true)
        ) as is_period_spanned,
        min(vintage_from) filter (where is_summed) as vintage_from,
        max(vintage_to) filter (where is_summed) as vintage_to,
        min(source_words) filter (where is_summed) as source_words,
        count(distinct source_words) filter (where is_summed) as sources_n,
        {{ text_list('missing_parts', '、', 'sort_order, county_code') }} as missing_areas,
        max(case when not is_city then lacking end) as county_lacking,
        {{ text_list('county_name', '、', 'sort_order, county_code', 'is_implausible') }} as implausible_areas,
        {% for side in terms %}
            cast(sum({{ side }}) filter (where is_summed) as {{ sum_type() }}) as {{ side }},
        {% endfor %}
        case when not bool_and(is_city) then max(numerator_submission_id) end as numerator_submission_id,
        case when not bool_and(is_city) then max(denominator_submission_id) end as denominator_submission_id,
        max(known_at) filter (where is_summed) as known_at,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) filter (where is_summed) as is_revised
    from summed_figure
    group by indicator_code, caliber_id, period, area_code
),

-- Of which parts a period is made that is not whole.
parts_of_area as (
    select
        indicator_code,
        caliber_id,
        period,
        area_code,
        {{ text_list('part_period', '、', 'part_period') }} as part_periods
    from (
        select distinct
            part.indicator_code,
            part.caliber_id,
            part.period,
            part.part_period,
            case when area_level.is_city then part.city_code else part.county_code end as area_code
        from {{ parts }} as part
        cross join (values (false), (true)) as area_level (is_city)
        where not (part.is_period_spanned and part.is_period_spanned_by_all)
    ) as of_area
    group by indicator_code, caliber_id, period, area_code
),

judged as (
    select
        rolled_up.*,
        case
            when rolled_up.vintage_from = rolled_up.vintage_to then cast(rolled_up.vintage_from as string)
            else cast(rolled_up.vintage_from as string) || ' 至 ' || cast(rolled_up.vintage_to as string)
        end as population_vintage_on,
        case
            when rolled_up.sources_n = 1 then rolled_up.source_words
            else rolled_up.source_words || '等 ' || rolled_up.sources_n || ' 种来源'
        end as population_source,
        case
            when not rolled_up.is_period_spanned
                then '；只含 ' || parts_of_area.part_periods || '，不是全年'
            else ''
        end as part_of_period,
        indicator.shape,
        indicator.unit,
        indicator.factor,
        indicator.side_factor,
        indicator.zero_denominator,
        {{ scale_of('indicator.indicator_code') }} as scale,
        standard.standard,
        standard.comparison,
        standard.standard_is_sample,
        {{ coverage_status(
            'rolled_up.coverage_n', 'rolled_up.expected_n', 'run.withhold_below', 'rolled_up.is_period_spanned',
            'rolled_up.is_undefined'
        ) }} as coverage_status
    from rolled_up
    inner join {{ source('declared', 'indicator') }} as indicator on rolled_up.indicator_code = indicator.indicator_code
    left join parts_of_area
        on
            rolled_up.indicator_code = parts_of_area.indicator_code
            and rolled_up.caliber_id = parts_of_area.caliber_id
            and rolled_up.period = parts_of_area.period
            and rolled_up.area_code = parts_of_area.area_code
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
        -- A mean of coefficients is a county's; of the city there is none.
        shape = 'mean_of' and is_city as is_not_rolled_up,
        {% for side in terms %}
            case when coverage_status != 'withheld' and not (shape = 'mean_of' and is_city) then {{ side }} end
                as {{ side }}_sum{{ ',' if not loop.last }}
        {% endfor %}
    from judged
),

crossed as (
    select
        *,
        {{ cross_numerator('numerator_sum', 'denominator_base_sum', 'scale') }} as cross_numerator,
        {{ cross_denominator(
            'numerator_base_sum',
            "case when shape in ('count', 'change') and numerator_sum is not null then 1 else denominator_sum end", 'scale'
        ) }} as cross_denominator
    from given
),

computed as (
    select
        *,
        -- Averages, and the two rates of a parity index in per cent. Each branch is DECIMAL(38,4): a CASE gives all of
        -- them one type.
        {% for side in ('numerator', 'denominator') %}
            case
                when {{ side }}_base_sum is null then cast({{ side }}_sum as decimal(38, 4))
                else {{ rate(side ~ '_sum', side ~ '_base_sum', 'side_factor', 'scale') }}
            end as {{ side }}_shown,
        {% endfor %}
        -- Over nobody there is no average, and a ratio of it would read 0. Where no county has a figure the area has
        -- none.
        case
            when
                coverage_status != 'undefined'
                and coalesce(numerator_base_sum, 1) > 0
                and coalesce(denominator_base_sum, 1) > 0
                then {{ decimal_of(half_up_quotient('(cross_numerator * factor * 10000)', 'cross_denominator')) }}
        end as value,
        case
            when cross_denominator > 0
                then cast(cast({{ half_up_quotient('(cross_numerator * 1000000)', 'cross_denominator') }} as decimal(38, 0)) * 0.000001 as {{ sum_type() }})
        end as exact_mean
    from crossed
),

formula as (
    select
        *,
        case
            when shape in ('count', 'change') then {{ plain_number('numerator_sum') }}
            when numerator_base_sum is not null
                then
                    '(' || {{ plain_number('numerator_sum') }} || ' ÷ ' || {{ plain_number('numerator_base_sum') }}
                    || ') ÷ (' || {{ plain_number('denominator_sum') }} || ' ÷ '
                    || {{ plain_number('denominator_base_sum') }} || ')'
            else {{ plain_number('numerator_sum') }} || ' ÷ ' || {{ plain_number('denominator_sum') }}
        end
        || case when factor != 1 then ' × ' || cast(factor as string) else '' end as worked_terms
    from computed
)

select
    indicator_code,
    caliber_id,
    period,
    area_code,
    is_city,
    city_code,
    calendar_year,
    numerator_shown as numerator,
    denominator_shown as denominator,
    value,
    cast(case when shape = 'mean_of' then exact_mean else value end as {{ sum_type() }}) as exact_value,
    unit,
    cast(coverage_n as integer) as coverage_n,
    cast(expected_n as integer) as expected_n,
    coalesce(missing_areas, '') as missing_areas,
    coalesce(county_lacking, '') as county_lacking,
    coalesce(implausible_areas, '') as implausible_areas,
    case when is_not_rolled_up then 'not_rolled_up' else {{ figure_status(
        'coverage_status', 'value', 'implausible_areas is not null', 'has_error', 'cross_numerator', 'cross_denominator',
        'zero_denominator'
    ) }} end as status,
    {{ finality('coverage_status', 'is_settled', 'is_revised') }} as finality,
    case
        when is_not_rolled_up then '只有各县（市、区）的数，不汇总为全市'
        when coverage_status = 'withheld' then '不予公布：计入 ' || coverage_n || '/' || expected_n
        when value is not null
            then
                worked_terms
                || case when shape in ('count', 'change') then '' else ' = ' || cast(value as string) end
                || case unit when '比值' then '' else ' ' || unit end
        when cross_denominator > 0 and coalesce(denominator_base_sum, 1) > 0
            then worked_terms || '：' || missing_areas || '，不能计算'
        else worked_terms || '：分母为 0，不能计算'
    end
    || case
        when coverage_status = 'withheld' then ''
        else
            coalesce('；人口时点 ' || population_vintage_on || '，来源：' || population_source, '')
            || part_of_period
    end as formula,
    {% for side in terms %}
        {{ side }}_sum,
    {% endfor %}
    standard,
    comparison,
    standard_is_sample,
    -- Judged on the unrounded terms, and not at all where a county in it has a share above what is possible.
    case
        when value is not null and implausible_areas is null and standard is not null
            then {{ meets_standard('cross_numerator', 'cross_denominator', 'standard', 'comparison', 'factor') }}
    end as is_standard_met,
    population_vintage_on,
    population_source,
    numerator_submission_id,
    denominator_submission_id,
    known_at,
    coalesce(is_settled, false) as is_settled,
    coalesce(is_revised, false) as is_revised
from formula
{%- endmacro %}
