{#
    Indicators that are made of figures: of which figure of a county each is made (made_of), shares of areas and means as parts that
    go through `figures` like any other (parts_of_layer), changes, which subtract what was rolled up (changes_of_layer).
#}

{# Relations `below_figure`: all figures below a layer, and `made_of`: of which of them each county's figure of the layer is made. #}
{% macro made_of(layer, below, shapes) -%}
below_figure as (
    {% for relation in below %}
        select * from {{ relation }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

made_of as (
    select *
    from {{ ref('int_made_of') }}
    where layer = {{ layer }} and shape in ({{ "'" ~ shapes | join("', '") ~ "'" }})
)
{%- endmacro %}

{#
    Parts of the shares of areas and of the means of a layer. A county that fails one of several indicators is not met,
    whatever is missing beside it; where none fails and one is missing it is missing, where one has no verdict it is not judged.
#}
{% macro parts_of_layer(layer, below) -%}
with {{ made_of(layer, below, ['share_of_areas', 'mean_of']) }},

held as (
    select
        made_of.*,
        figure.exact_value as value,
        figure.is_standard_met,
        figure.numerator_submission_id,
        figure.denominator_submission_id,
        figure.known_at,
        figure.county_lacking,
        coalesce(figure.is_settled, false) as is_settled,
        coalesce(figure.is_revised, false) as is_revised,
        coalesce(indicator.at_least, wanted.wanted_n) as needed,
        coalesce(
            not figure.is_standard_met
            and case
                when figure.comparison = '>=' then figure.exact_value < figure.standard * indicator.others_share
                when indicator.others_share is not null then true
            end,
            false
        ) as is_far_off,
        figure.status is null
        or figure.status = 'withheld'
        or (made_of.shape = 'share_of_areas' and figure.standard is null) as is_missing
    from made_of
    left join below_figure as figure
        on
            made_of.of_code = figure.indicator_code
            and made_of.of_caliber_id = figure.caliber_id
            and made_of.of_period = figure.period
            and made_of.county_code = figure.area_code
    inner join {{ source('declared', 'indicator') }} as indicator on made_of.indicator_code = indicator.indicator_code
    left join (
        select
            indicator_code,
            count(*) as wanted_n
        from {{ source('declared', 'indicator_of') }}
        where relation = 'meets'
        group by indicator_code
    ) as wanted on made_of.indicator_code = wanted.indicator_code
),

combined as (
    select
        indicator_code,
        shape,
        caliber_id,
        county_code,
        period,
        -- Failed: those met, missing or not judged cannot be enough any more, or another is too far off its standard.
        count(*) filter (where relation != 'among' and coalesce(is_standard_met, true))
        < max(needed) or coalesce(bool_or(is_far_off) filter (where relation != 'among'), false) as has_failed,
        count(*) filter (where relation != 'among' and is_standard_met) < max(needed) as has_too_few,
        coalesce(bool_or(is_missing) filter (where relation != 'among'), false) as has_missing,
        coalesce(bool_or(is_standard_met is null) filter (where relation != 'among'), false) as has_unjudged,
        bool_or(value is null) as has_no_value,
        sum(weight * value) as weighed,
        sum(weight) as weight,
        bool_and(not coalesce(is_standard_met, true)) filter (where relation = 'among') as is_not_among,
        coalesce(bool_or(is_missing) filter (where relation = 'among'), false) as is_among_missing,
        max(numerator_submission_id) filter (where ordinal = 1) as first_submission_id,
        max(denominator_submission_id) filter (where ordinal = 1) as second_submission_id,
        max(known_at) as known_at,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) as is_revised,
        max(calendar_year) as calendar_year,
        max(county_name) as county_name,
        max(city_code) as city_code,
        max(sort_order) as sort_order,
        max(reference_on) as reference_on,
        bool_and(is_period_spanned) as is_period_spanned,
        bool_and(is_period_spanned_by_all) as is_period_spanned_by_all
    from held
    group by indicator_code, shape, caliber_id, county_code, period
),

reason as (
    select
        indicator_code,
        caliber_id,
        county_code,
        period,
        {{ text_list('county_lacking', '，', 'ordinal, county_lacking') }} as lacking
    from (
        select
            indicator_code,
            caliber_id,
            county_code,
            period,
            county_lacking,
            min(ordinal) as ordinal
        from held
        where is_missing and county_lacking != ''
        group by indicator_code, caliber_id, county_code, period, county_lacking
    ) as told
    group by indicator_code, caliber_id, county_code, period
),

part_of_period as (
    select
        combined.*,
        combined.period as part_period,
        case
            when combined.shape = 'mean_of' then not combined.has_no_value
            when combined.is_among_missing then false
            when coalesce(combined.is_not_among, false) then true
            else combined.has_failed or not combined.has_too_few or not combined.has_missing
        end as has_terms,
        coalesce(combined.is_not_among, false) as is_nothing,
        false as is_lacking_kind,
        cast(
            case
                when combined.shape = 'mean_of' then combined.weighed
                when coalesce(combined.is_not_among, false) or combined.has_failed then 0
                when not combined.has_too_few then 1
                when combined.has_missing then null
                else 0
            end as {{ sum_type() }}
        ) as numerator,
        cast(null as {{ sum_type() }}) as numerator_base,
        cast(
            case
                when combined.shape = 'mean_of' then combined.weight
                when coalesce(combined.is_not_among, false) then 0
                when combined.has_failed or not combined.has_too_few then 1
                when combined.has_missing then null
                else 0
            end as {{ sum_type() }}
        ) as denominator,
        cast(null as {{ sum_type() }}) as denominator_base,
        2 as returns_n,
        cast(null as date) as vintage_from,
        cast(null as date) as vintage_to,
        cast(null as string) as source_words,
        coalesce(reason.lacking, '') as lacking,
        '' as absent_words
    from combined
    left join reason
        on
            combined.indicator_code = reason.indicator_code
            and combined.caliber_id = reason.caliber_id
            and combined.county_code = reason.county_code
            and combined.period = reason.period
),

{{ county_parts('part_of_period') }}
{%- endmacro %}

{#
    Ends a model of figures that are no quotient of their sums (changes, coefficients): of a relation `given` with the exact value,
    coverage and own status of each area the columns of `figures`. own_status: null where the coverage says it.
#}
{% macro figures_by_value() -%}
stated as (
    select
        given.*,
        indicator.unit,
        indicator.ceiling,
        standard.standard,
        standard.comparison,
        standard.standard_is_sample,
        {{ coverage_status('given.coverage_n', 'given.expected_n', 'run.withhold_below', 'true') }} as coverage_status
    from given
    inner join {{ source('declared', 'indicator') }} as indicator on given.indicator_code = indicator.indicator_code
    left join {{ ref('int_standard') }} as standard
        on
            given.indicator_code = standard.indicator_code
            and given.area_code = standard.area_code
            and given.calendar_year = standard.calendar_year
    cross join {{ source('control', 'run') }} as run
),

shown as (
    select
        *,
        coalesce(own_status, coverage_status) as status,
        case when coalesce(own_status, coverage_status) in ('complete', 'partial') then exact_given end as exact_value
    from stated
)

select
    indicator_code,
    caliber_id,
    period,
    area_code,
    is_city,
    city_code,
    calendar_year,
    cast(case when exact_value is not null then numerator_sum end as decimal(38, 4)) as numerator,
    cast(case when exact_value is not null then denominator_sum end as decimal(38, 4)) as denominator,
    cast(exact_value as decimal(38, 4)) as value,
    exact_value,
    unit,
    cast(coverage_n as integer) as coverage_n,
    cast(expected_n as integer) as expected_n,
    coalesce(missing_areas, '') as missing_areas,
    county_lacking,
    '' as implausible_areas,
    status,
    case
        when status not in ('no_base', 'not_comparable')
            then {{ finality('coverage_status', 'is_settled', 'is_revised') }}
    end as finality,
    case
        when exact_value is not null
            then
                worked || ' = ' || {{ plain_number('exact_value') }}
                || case when unit in ('比值', '系数') then '' else ' ' || unit end
        when status = 'not_rolled_up' then '只有各县（市、区）的数，不汇总为全市'
        when status = 'no_base' then '没有基期的数，不能比较'
        when status = 'undefined' then '平均数为 0，没有差异系数'
        when status = 'not_comparable' then '两期不可比，不能相减'
        when status = 'withheld' then '不予公布：计入 ' || coverage_n || '/' || expected_n
        else '没有数值'
    end as formula,
    cast(case when exact_value is not null then numerator_sum end as {{ sum_type() }}) as numerator_sum,
    cast(null as {{ sum_type() }}) as numerator_base_sum,
    cast(case when exact_value is not null then denominator_sum end as {{ sum_type() }}) as denominator_sum,
    cast(null as {{ sum_type() }}) as denominator_base_sum,
    standard,
    comparison,
    standard_is_sample,
    case
        when exact_value is null or standard is null then null
        when comparison = '<=' then exact_value <= standard
        else exact_value >= standard
    end as is_standard_met,
    cast(null as string) as population_vintage_on,
    cast(null as string) as population_source,
    case when not is_city then numerator_submission_id end as numerator_submission_id,
    case when not is_city then denominator_submission_id end as denominator_submission_id,
    known_at,
    coalesce(is_settled, false) as is_settled,
    coalesce(is_revised, false) as is_revised
from shown
{%- endmacro %}

{#
    The changes of a layer, as a query: the figure less that of so many years before, over the counties that have both; the city's are
    both rolled up over the same counties and subtracted as they are printed. From a baseline: less what policy has for the area.
#}
{% macro changes_of_layer(layer, below) -%}
with {{ made_of(layer, below, ['change']) }},

paired as (
    select
        made_of.*,
        indicator.since,
        indicator.change_as,
        indicator.same_column,
        of_indicator.factor,
        of_indicator.shape as of_shape,
        {{ scale_of('of_indicator.indicator_code') }} as scale
    from made_of
    inner join {{ source('declared', 'indicator') }} as indicator on made_of.indicator_code = indicator.indicator_code
    inner join {{ source('declared', 'indicator') }} as of_indicator on made_of.of_code = of_indicator.indicator_code
),

{#- What a column must be in both periods (one scale of a test): the values that the county has in it. #}
held_column as (
    select
        return_code,
        substr(atom_column, length(return_code) + 3) as column_name,
        county_code,
        period,
        {{ text_list('entity', '、', 'entity') }} as held
    from {{ ref('int_atom') }}
    where atom_column like '%.=%'
    group by return_code, atom_column, county_code, period
),

paired_value as (
    select
        paired.*,
        now.exact_value as now_value,
        now.known_at,
        now.county_lacking as now_lacking,
        coalesce(now.is_settled and (base.is_settled or paired.since = 'baseline'), false) as is_settled,
        coalesce(now.is_revised or base.is_revised, false) as is_revised,
        now.numerator_submission_id,
        base.numerator_submission_id as base_submission_id,
        case
            when paired.since = 'baseline' then baseline.value
            when base.status in ('complete', 'partial') then base.exact_value
        end as base_value,
        coalesce(now.status in ('complete', 'partial'), false) as has_now,
        paired.same_column is not null and coalesce(cast(now_column.held as string), '') != coalesce(cast(base_column.held as string), '') as is_other_column,
        {% for side in figure_terms() %}
            now.{{ side }}_sum as now_{{ side }},
            base.{{ side }}_sum as base_{{ side }}{{ ',' if not loop.last }}
        {% endfor %}
    from paired
    left join below_figure as now
        on
            paired.of_code = now.indicator_code
            and paired.of_caliber_id = now.caliber_id
            and paired.of_period = now.period
            and paired.county_code = now.area_code
    left join below_figure as base
        on
            paired.of_code = base.indicator_code
            and paired.of_caliber_id = base.caliber_id
            and paired.base_period = base.period
            and paired.county_code = base.area_code
    left join {{ source('policy', 'baselines') }} as baseline
        on
            paired.since = 'baseline'
            and paired.of_code = baseline.indicator_code
            and paired.of_caliber_id = baseline.caliber_id
            and paired.county_code = baseline.area_code
            and baseline.baseline_on <= paired.reference_on
    left join held_column as now_column
        on
            paired.same_column = now_column.return_code || '.' || now_column.column_name
            and paired.county_code = now_column.county_code
            and paired.of_period = now_column.period
    left join held_column as base_column
        on
            paired.same_column = base_column.return_code || '.' || base_column.column_name
            and paired.county_code = base_column.county_code
            and paired.base_period = base_column.period
    qualify row_number() over (
        partition by paired.indicator_code, paired.caliber_id, paired.county_code, paired.period
        order by baseline.baseline_on desc nulls last
    ) = 1
),

counted as (
    select
        *,
        has_now and base_value is not null and not is_other_column as is_covered
    from paired_value
),

rolled_up as (
    select
        indicator_code,
        caliber_id,
        period,
        city_code,
        max(of_code) as of_code,
        max(of_caliber_id) as of_caliber_id,
        max(of_period) as of_period,
        max(since) as since,
        max(change_as) as change_as,
        max(reference_on) as reference_on,
        max(factor) as factor,
        max(scale) as scale,
        max(of_shape) as of_shape,
        max(calendar_year) as calendar_year,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        count(*) filter (where has_now) as now_n,
        {{ text_list(
            "county_name || case when has_now and is_other_column then '（两期不可比）' when has_now then '（没有基期的数）'"
            ~ " when now_lacking != '' then '（' || now_lacking || '）' else '' end",
            '、', 'sort_order, county_code', 'not is_covered'
        ) }} as missing_areas,
        {% for side in figure_terms() %}
            sum(now_{{ side }}) filter (where is_covered) as now_{{ side }},
            sum(base_{{ side }}) filter (where is_covered) as base_{{ side }},
        {% endfor %}
        max(known_at) filter (where is_covered) as known_at,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) filter (where is_covered) as is_revised
    from counted
    group by indicator_code, caliber_id, period, city_code
),

of_city as (
    select
        rolled_up.*,
        {% for when in ('now', 'base') %}
            {{ rate_of_averages(
                when ~ '_numerator', when ~ '_numerator_base',
                "case when of_shape = 'count' then 1 else " ~ when ~ '_denominator end', when ~ '_denominator_base',
                'factor', 'scale'
            ) }} as {{ when }}_rate,
        {% endfor %}
        (
            select max_by(baseline.value, baseline.baseline_on)
            from {{ source('policy', 'baselines') }} as baseline
            where
                rolled_up.of_code = baseline.indicator_code
                and rolled_up.of_caliber_id = baseline.caliber_id
                and rolled_up.city_code = baseline.area_code
                and baseline.baseline_on <= rolled_up.reference_on
        ) as own_base
    from rolled_up
),

area as (
    select
        indicator_code,
        caliber_id,
        period,
        county_code as area_code,
        false as is_city,
        city_code,
        calendar_year,
        change_as,
        now_value,
        base_value,
        cast(is_covered as integer) as coverage_n,
        1 as expected_n,
        case when not is_covered then county_name || case
            when has_now and is_other_column then '（两期不可比）'
            when has_now then '（没有基期的数）'
            when now_lacking != '' then '（' || now_lacking || '）'
            else ''
        end end as missing_areas,
        case when is_covered then '' when has_now then '没有基期的数' else coalesce(now_lacking, '') end as county_lacking,
        case when has_now and is_other_column then 'not_comparable' when has_now and base_value is null then 'no_base' end as own_status,
        numerator_submission_id,
        coalesce(base_submission_id, numerator_submission_id) as denominator_submission_id,
        known_at,
        is_settled,
        is_revised
    from counted
    union all
    select
        of_city.indicator_code,
        of_city.caliber_id,
        of_city.period,
        of_city.city_code as area_code,
        true as is_city,
        of_city.city_code,
        of_city.calendar_year,
        of_city.change_as,
        case when of_city.since = 'baseline' then figure.exact_value else of_city.now_rate end as now_value,
        case when of_city.since = 'baseline' then of_city.own_base else of_city.base_rate end as base_value,
        case when of_city.since = 'baseline' then figure.coverage_n else of_city.coverage_n end as coverage_n,
        of_city.expected_n,
        case when of_city.since = 'baseline' then figure.missing_areas else of_city.missing_areas end as missing_areas,
        '' as county_lacking,
        case
            when of_city.since = 'baseline' and of_city.own_base is null then 'no_base'
            when of_city.since != 'baseline' and of_city.coverage_n = 0 and of_city.now_n > 0 then 'no_base'
        end as own_status,
        null as numerator_submission_id,
        null as denominator_submission_id,
        of_city.known_at,
        of_city.is_settled,
        of_city.is_revised
    from of_city
    left join below_figure as figure
        on
            of_city.of_code = figure.indicator_code
            and of_city.of_caliber_id = figure.caliber_id
            and of_city.of_period = figure.period
            and of_city.city_code = figure.area_code
),

given as (
    select
        area.*,
        now_value as numerator_sum,
        base_value as denominator_sum,
        cast(
            case change_as
                when 'reduction_percent' then {{ rate('(base_value - now_value)', 'base_value', 100, '1000000') }}
                else now_value - base_value
            end as {{ sum_type() }}
        ) as exact_given,
        case change_as
            when 'reduction_percent'
                then
                    '(' || {{ plain_number('cast(base_value as ' ~ sum_type() ~ ')') }} || ' − '
                    || {{ plain_number('cast(now_value as ' ~ sum_type() ~ ')') }} || ') ÷ '
                    || {{ plain_number('cast(base_value as ' ~ sum_type() ~ ')') }} || ' × 100'
            else
                {{ plain_number('cast(now_value as ' ~ sum_type() ~ ')') }} || ' − '
                || {{ plain_number('cast(base_value as ' ~ sum_type() ~ ')') }}
        end as worked
    from area
),

{{ figures_by_value() }}
{%- endmacro %}
