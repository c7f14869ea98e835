-- Indicators by today's counties: what former counties reported is given to those that took them over, term by term, so
-- that a series runs over renamings, mergers and splits. As reported by the counties of each period: fct_indicator.
--
-- Today is the end of the last period of the reporting calendar. A merger adds terms; a split divides them by its
-- weights, and where it has none the figure is not comparable, never guessed. A county's figure needs every part of it.
{% set terms = figure_terms() %}
with recursive
today as (
    select max(period_end) as today_on
    from {{ source('control', 'calendar') }}
),

part_days as (
    select
        period as part_period,
        max({{ days_between('period_start', 'period_end') }} + 1) as days_n
    from {{ source('control', 'calendar') }}
    group by period
),

successor as (
    select
        link.county_code,
        link.successor_code,
        link.valid_from,
        cast(link.share as {{ whole_type() }}) as share,
        cast(link.share_before as {{ whole_type() }}) as share_before,
        cast(link.share_of as {{ whole_type() }}) as share_of,
        -- A county may change more than once: this change is the next one from here on.
        (
            select max(earlier.valid_from)
            from {{ source('control', 'county_successor') }} as earlier
            where earlier.county_code = link.county_code and earlier.valid_from < link.valid_from
        ) as changed_before
    from {{ source('control', 'county_successor') }} as link
    inner join today on link.valid_from <= today.today_on
),

-- A filing is of the counties of its reference day: what became of them after that day is followed.
reporting as (
    select distinct
        county_code,
        reference_on
    from {{ ref('int_part') }}
),

-- From the county that reported along its successors; its share is [share_before, share_before + share) ÷ share_of, so
-- that the shares of one county tile it and what is apportioned adds up to the cent.
walk as (
    select
        county_code,
        reference_on,
        county_code as area_code,
        reference_on as reached_on,
        cast(1 as {{ whole_type() }}) as share,
        cast(0 as {{ whole_type() }}) as share_before,
        cast(1 as {{ whole_type() }}) as share_of
    from reporting
    union all
    select
        walk.county_code,
        walk.reference_on,
        successor.successor_code as area_code,
        successor.valid_from as reached_on,
        walk.share * successor.share as share,
        walk.share_before * successor.share_of + walk.share * successor.share_before as share_before,
        walk.share_of * successor.share_of as share_of
    from walk
    inner join successor
        on
            walk.area_code = successor.county_code
            and walk.reached_on < successor.valid_from
            and (successor.changed_before is null or walk.reached_on >= successor.changed_before)
),

arrival as (
    select walk.*
    from walk
    left join successor on walk.area_code = successor.county_code and walk.reached_on < successor.valid_from
    where successor.county_code is null
),

-- The smallest part of a term that is reckoned with.
scaled as (
    select
        indicator_code,
        {{ scale_of('indicator.indicator_code') }} as scale,
        case {{ scale_of('indicator.indicator_code') }} when 100 then 0.01 else 0.000001 end as smallest
    from {{ source('declared', 'indicator') }} as indicator
),

recast_term as (
    select
        term.indicator_code,
        term.caliber_id,
        term.period,
        term.county_code,
        term.county_name,
        term.sort_order,
        term.part_period,
        term.lacking,
        term.has_terms,
        term.county_status,
        term.is_covered,
        term.is_implausible,
        term.is_settled,
        term.is_revised,
        arrival.area_code,
        {% for term in terms %}
            -- The whole is taken as it stands, a part from one rounded bound of its share to the other.
            case
                when arrival.share = arrival.share_of then term.{{ term }}
                else cast(
                    cast(
                        {{ half_up_quotient(
                            hundredths('term.' ~ term, 'scaled.scale') ~ ' * (arrival.share_before + arrival.share)', 'arrival.share_of'
                        ) }}
                        - {{ half_up_quotient(
                            hundredths('term.' ~ term, 'scaled.scale') ~ ' * arrival.share_before', 'arrival.share_of'
                        ) }} as decimal(38, 0)
                    ) * scaled.smallest as {{ sum_type() }}
                )
            end as {{ term }},
        {% endfor %}
        arrival.share is null as is_share_unknown,
        coalesce(arrival.share != arrival.share_of, false) as is_apportioned,
        false as is_city
    from {{ ref('int_part') }} as term
    inner join arrival on term.county_code = arrival.county_code and term.reference_on = arrival.reference_on
    inner join scaled on term.indicator_code = scaled.indicator_code
    union all
    -- The city is the same, whatever became of its counties.
    select
        term.indicator_code,
        term.caliber_id,
        term.period,
        term.county_code,
        term.county_name,
        term.sort_order,
        term.part_period,
        term.lacking,
        term.has_terms,
        term.county_status,
        term.is_covered,
        term.is_implausible,
        term.is_settled,
        term.is_revised,
        term.city_code as area_code,
        {% for term in terms %}
            term.{{ term }},
        {% endfor %}
        false as is_share_unknown,
        false as is_apportioned,
        true as is_city
    from {{ ref('int_part') }} as term
),

-- Do the parts that an area is made of, whoever filed them, make up the period? Half a year of a county that is gone
-- and the other half of its successor do.
span as (
    select
        part.indicator_code,
        part.caliber_id,
        part.period,
        part.area_code,
        part.is_city,
        sum(part_days.days_n) >= case
            when part.period = max(part.part_period) then 0
            else dayofyear(make_date(cast(left(part.period, 4) as integer), 12, 31))
        end as is_period_spanned
    from (
        select distinct
            indicator_code,
            caliber_id,
            period,
            area_code,
            is_city,
            part_period
        from recast_term
    ) as part
    inner join part_days on part.part_period = part_days.part_period
    group by part.indicator_code, part.caliber_id, part.period, part.area_code, part.is_city
),

-- A county counts when all its parts of the period are there: three quarters are no year.
county_figure as (
    select
        indicator_code,
        caliber_id,
        period,
        area_code,
        is_city,
        county_code,
        max(county_name) as county_name,
        max(sort_order) as sort_order,
        max(county_status) as county_status,
        bool_and(is_covered) as is_covered,
        bool_and(is_implausible) as is_implausible,
        {{ missing_parts() }} as missing_parts,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) as is_revised,
        {% for term in terms %}
            sum({{ term }}) as {{ term }},
        {% endfor %}
        bool_or(is_share_unknown) as is_share_unknown,
        bool_or(is_apportioned) as is_apportioned
    from recast_term
    group by indicator_code, caliber_id, period, area_code, is_city, county_code
),

-- Where every county has reported and none has a figure, what they reported is shown: it is why there is none.
summed_figure as (
    select
        *,
        is_covered or (
            bool_and(not is_covered and county_status != 'missing')
                over (partition by indicator_code, caliber_id, period, area_code, is_city)
        ) as is_summed
    from county_figure
),

rolled_up as (
    select
        indicator_code,
        caliber_id,
        period,
        area_code,
        is_city,
        count(*) as expected_n,
        count(*) filter (where is_covered) as coverage_n,
        bool_and(is_summed and not is_covered) as is_undefined,
        bool_or(county_status = 'error') as has_error,
        bool_or(is_implausible) as is_implausible,
        bool_and(is_settled) as is_settled,
        bool_or(is_revised) filter (where is_summed) as is_revised,
        count(*) = 1 and max(county_code) = area_code as is_itself,
        {% for term in terms %}
            cast(sum({{ term }}) filter (where is_summed) as {{ sum_type() }}) as {{ term }},
        {% endfor %}
        bool_or(is_share_unknown) as is_share_unknown,
        bool_or(is_apportioned) as is_apportioned,
        {{ text_list(
            "county_name || case when is_share_unknown or is_apportioned then '（部分）' else '' end", '、',
            'sort_order, county_code'
        ) }} as made_of,
        {{ text_list('missing_parts', '、', 'sort_order, county_code') }} as missing_areas
    from summed_figure
    group by indicator_code, caliber_id, period, area_code, is_city
),

compared as (
    select
        rolled_up.*,
        indicators.unit,
        indicators.factor,
        indicators.shape,
        {{ scale_of('indicators.indicator_code') }} as scale,
        indicators.zero_denominator,
        {{ coverage_status(
            'rolled_up.coverage_n', 'rolled_up.expected_n',
            'case when rolled_up.is_city then run.withhold_below else 1 end', 'span.is_period_spanned',
            'rolled_up.is_undefined'
        ) }} as coverage_status,
        case
            -- A mean of coefficients is a county's; of the city there is none.
            when rolled_up.is_city and indicators.shape = 'mean_of' then 'not_comparable'
            when rolled_up.is_city then 'as_reported'
            when county.county_code is null then 'no_successor'
            when rolled_up.is_share_unknown then 'not_comparable'
            when rolled_up.is_itself and not rolled_up.is_apportioned then 'as_reported'
            -- Each county is judged by itself; what two of them would have been together was not judged.
            when
                indicators.shape in ('share_of_areas', 'mean_of')
                and (rolled_up.expected_n > 1 or rolled_up.is_apportioned)
                then 'not_comparable'
            when rolled_up.is_apportioned then 'apportioned'
            else 'recast'
        end as comparability
    from rolled_up
    inner join
        {{ source('declared', 'indicator') }} as indicators
        on rolled_up.indicator_code = indicators.indicator_code
    cross join {{ source('control', 'run') }} as run
    cross join today
    inner join span
        on
            rolled_up.indicator_code = span.indicator_code
            and rolled_up.caliber_id = span.caliber_id
            and rolled_up.period = span.period
            and rolled_up.area_code = span.area_code
            and rolled_up.is_city = span.is_city
    left join {{ source('control', 'county') }} as county
        on
            rolled_up.area_code = county.county_code
            and today.today_on >= county.valid_from
            and (county.valid_to is null or today.today_on < county.valid_to)
),

-- A withheld figure shows none of its terms, one that is not comparable has none.
given as (
    select
        {% for term in terms %}
            case
                when
                    compared.coverage_status != 'withheld' and compared.comparability != 'not_comparable'
                    then compared.{{ term }}
            end as {{ term }}_sum,
        {% endfor %}
        compared.*
    from compared
),

computed as (
    select
        *,
        {{ cross_numerator('numerator_sum', 'denominator_base_sum', 'scale') }} as cross_numerator,
        {{ cross_denominator(
            'numerator_base_sum', "case when shape = 'count' and numerator_sum is not null then 1 else denominator_sum end", 'scale'
        ) }} as cross_denominator,
        case
            when
                coverage_status != 'undefined'
                and coalesce(numerator_base_sum, 1) > 0
                and coalesce(denominator_base_sum, 1) > 0
                then {{ rate_of_averages(
                    'numerator_sum', 'numerator_base_sum',
                    "case when shape = 'count' and numerator_sum is not null then 1 else denominator_sum end",
                    'denominator_base_sum', 'factor', 'scale'
                ) }}
        end as value
    from given
)

select
    computed.indicator_code,
    computed.caliber_id,
    computed.period,
    computed.area_code,
    computed.comparability,
    not computed.is_city and computed.comparability not in ('as_reported', 'no_successor') as is_recast,
    case when computed.is_city then '' else computed.made_of end as made_of,
    computed.value,
    fact.value as reported_value,
    computed.unit,
    computed.numerator_sum,
    computed.numerator_base_sum,
    computed.denominator_sum,
    computed.denominator_base_sum,
    cast(computed.coverage_n as integer) as coverage_n,
    cast(computed.expected_n as integer) as expected_n,
    coalesce(computed.missing_areas, '') as missing_areas,
    case
        when computed.comparability = 'not_comparable' then 'not_comparable'
        else {{ figure_status(
            'computed.coverage_status', 'computed.value', 'computed.is_implausible', 'computed.has_error',
            'computed.cross_numerator', 'computed.cross_denominator', 'computed.zero_denominator'
        ) }}
    end as status,
    case
        when computed.comparability != 'not_comparable'
            then {{ finality('computed.coverage_status', 'computed.is_settled', 'computed.is_revised') }}
    end as finality
from computed
left join {{ ref('fct_indicator') }} as fact
    on
        computed.indicator_code = fact.indicator_code
        and computed.caliber_id = fact.caliber_id
        and computed.period = fact.period
        and computed.area_code = fact.area_code
order by computed.indicator_code, computed.caliber_id, computed.period, computed.area_code
