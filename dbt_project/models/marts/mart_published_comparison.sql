-- Our computed figure beside the one that was published, at the decimals in which it was published.
with compared as (
    select
        published.*,
        fact.value,
        fact.status,
        fact.policy_is_sample,
        fact.coverage_n,
        fact.expected_n,
        -- Rounded once, from the terms: rounding the four-decimal value again could step over a half.
        case published.decimals when 0 then 10000 when 1 then 1000 when 2 then 100 when 3 then 10 else 1 end
            as step,
        case
            when indicators.shape in ('change', 'dispersion', 'quantile', 'mean_of')
                then cast(fact.value * 10000 as {{ whole_type() }})
            else
                {{ cross_numerator(
                    'fact.numerator_sum', 'fact.denominator_base_sum', scale_of('indicators.indicator_code')
                ) }}
                * indicators.factor * 10000
        end as dividend,
        case
            when indicators.shape in ('change', 'dispersion', 'quantile', 'mean_of') then 1
            else {{ cross_denominator(
                'fact.numerator_base_sum',
                "case when indicators.shape = 'count' and fact.numerator_sum is not null then 1 else fact.denominator_sum end",
                scale_of('indicators.indicator_code')
            ) }}
        end as divisor
    from {{ source('policy', 'published_figures') }} as published
    inner join
        {{ source('declared', 'indicator') }} as indicators
        on published.indicator_code = indicators.indicator_code
    inner join {{ ref('fct_indicator') }} as fact
        on
            published.indicator_code = fact.indicator_code
            and published.area_code = fact.area_code
            and published.period = fact.period
            and published.caliber_id = fact.caliber_id
),

rounded as (
    select
        *,
        case
            when value is not null
                then cast(
                    cast({{ half_up_quotient('dividend', '(divisor * step)') }} * step as decimal(38, 0)) * 0.0001
                    as decimal(38, 4)
                )
        end as computed_value
    from compared
)

select
    indicator_code,
    area_code,
    period,
    caliber_id,
    published_value,
    decimals,
    computed_value,
    cast(value - published_value as decimal(38, 4)) as difference,
    -- Null where we have no figure: there is nothing to compare.
    computed_value = published_value as is_agreed,
    status,
    policy_is_sample,
    coverage_n,
    expected_n,
    source
from rounded
order by indicator_code, area_code, period, caliber_id
