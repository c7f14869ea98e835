-- Every indicator of every area, whatever its shape: what the layers of figures have come to, with the queries that
-- stand open against the filings that each rests on.
with figure as (
    {% for layer in range(3) %}
        select * from {{ ref('int_figure_' ~ layer) }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

open_query as (
    select
        return_code,
        county_code,
        period,
        rule_id,
        max(level) as level,
        count(*) as queries_n,
        min_by(message, finding_id) as message
    from {{ ref('int_finding') }}
    where outcome = 'query' and status = 'open' and is_of_version_in_force
    group by return_code, county_code, period, rule_id
),

-- By rule: of an area's own filings, and for the city of the counties that it covers.
query_of_county as (
    select
        source.indicator_code,
        source.caliber_id,
        source.period,
        source.county_code,
        figure.city_code,
        figure.coverage_n > 0 as is_covered,
        open_query.rule_id,
        -- What may have entered a sum twice or cannot be right weighs more than what differs from elsewhere or before.
        case open_query.level when '3' then 1 when '4' then 2 when '5' then 3 when '2b' then 4 else 5 end as weight,
        open_query.queries_n,
        open_query.message,
        county.county_name,
        row_number() over (
            partition by source.indicator_code, source.caliber_id, source.period, open_query.rule_id
            order by county.sort_order, source.county_code, source.source_period, source.return_code
        ) as place
    from {{ ref('int_figure_source') }} as source
    inner join open_query
        on
            source.return_code = open_query.return_code
            and source.county_code = open_query.county_code
            and source.source_period = open_query.period
    inner join figure
        on
            source.indicator_code = figure.indicator_code
            and source.caliber_id = figure.caliber_id
            and source.period = figure.period
            and source.county_code = figure.area_code
    inner join (
        select
            county_code,
            max(county_name) as county_name,
            max(sort_order) as sort_order
        from {{ ref('stg_expected_filing') }}
        group by county_code
    ) as county on source.county_code = county.county_code
),

query_of_area as (
    select
        query.indicator_code,
        query.caliber_id,
        query.period,
        case when area_level.is_city then query.city_code else query.county_code end as area_code,
        query.rule_id,
        min(query.weight) as weight,
        sum(query.queries_n) as queries_n,
        min_by(
            case when area_level.is_city then query.county_name || '：' else '' end || query.message, query.place
        ) as message
    from query_of_county as query
    cross join (values (false), (true)) as area_level (is_city)
    where query.is_covered or not area_level.is_city
    group by
        query.indicator_code, query.caliber_id, query.period,
        case when area_level.is_city then query.city_code else query.county_code end, query.rule_id
),

ranked as (
    select
        *,
        sum(queries_n) over (partition by indicator_code, caliber_id, period, area_code) as open_queries_n,
        row_number() over (
            partition by indicator_code, caliber_id, period, area_code order by weight asc, queries_n desc, rule_id asc
        ) as place
    from query_of_area
)

select
    figure.indicator_code,
    figure.caliber_id,
    figure.period,
    figure.area_code,
    figure.numerator,
    figure.denominator,
    figure.value,
    figure.unit,
    figure.coverage_n,
    figure.expected_n,
    figure.missing_areas,
    figure.implausible_areas,
    figure.status,
    figure.finality,
    figure.formula,
    {% for side in figure_terms() %}
        figure.{{ side }}_sum,
    {% endfor %}
    figure.standard,
    figure.is_standard_met,
    coalesce(basis.policy_is_sample, false) as policy_is_sample,
    figure.standard_is_sample,
    figure.population_vintage_on,
    figure.population_source,
    cast(coalesce(ranked.open_queries_n, 0) as integer) as open_queries_n,
    coalesce(ranked.rule_id, '') as heaviest_rule_id,
    coalesce(ranked.message, '') as heaviest_query,
    figure.numerator_submission_id,
    figure.denominator_submission_id,
    figure.known_at
from figure
left join {{ ref('int_policy_basis') }} as basis
    on figure.indicator_code = basis.indicator_code and figure.caliber_id = basis.caliber_id
left join ranked
    on
        figure.indicator_code = ranked.indicator_code
        and figure.caliber_id = ranked.caliber_id
        and figure.period = ranked.period
        and figure.area_code = ranked.area_code
        and ranked.place = 1
order by figure.indicator_code, figure.caliber_id, figure.period, figure.area_code
