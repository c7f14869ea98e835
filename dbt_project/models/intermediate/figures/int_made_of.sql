-- Of which figures of the same county each figure is made that is no sum of terms, whether they are there or not.
-- Another caliber kind enters by its default caliber, another kind of period by the calendar; a change has a base of
-- so many years before.
with kind_of_period as (
    select
        return_code,
        max(period_type) as period_type
    from {{ source('control', 'calendar') }}
    group by return_code
),

linked as (
    select
        expected.indicator_code,
        expected.layer,
        expected.shape,
        expected.caliber_id,
        expected.county_code,
        expected.period,
        expected.calendar_year,
        expected.reference_on,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.is_period_spanned,
        expected.is_period_spanned_by_all,
        made.of_code,
        made.relation,
        coalesce(made.weight, 1) as weight,
        made.ordinal,
        indicator.since,
        case
            when coalesce(of_indicator.caliber_kind, 'as_reported') = expected.caliber_kind then expected.caliber_id
            else of_default.caliber_id
        end as of_caliber_id,
        case
            when of_period.period_type = expected.period_type then expected.period
            when of_period.period_type = 'calendar_year' then expected.calendar_year
            when of_period.period_type = 'school_year' then expected.school_year
        end as of_period
    from {{ ref('int_expected_figure') }} as expected
    inner join {{ source('declared', 'indicator') }} as indicator on expected.indicator_code = indicator.indicator_code
    inner join {{ source('declared', 'indicator_of') }} as made on expected.indicator_code = made.indicator_code
    inner join {{ source('declared', 'indicator') }} as of_indicator on made.of_code = of_indicator.indicator_code
    inner join {{ ref('int_caliber') }} as of_default
        on coalesce(of_indicator.caliber_kind, 'as_reported') = of_default.caliber_kind and of_default.is_default
    left join kind_of_period as of_period on of_indicator.anchor_return = of_period.return_code
    where expected.layer > 0 and not expected.is_year
)

select
    *,
    case
        when since is null or since = 'baseline' then null
        when length(of_period) = 9
            then
                cast(cast(left(of_period, 4) as integer) - cast(since as integer) as string) || '-'
                || cast(cast(right(of_period, 4) as integer) - cast(since as integer) as string)
        else cast(cast(left(of_period, 4) as integer) - cast(since as integer) as string) || substr(of_period, 5)
    end as base_period
from linked
