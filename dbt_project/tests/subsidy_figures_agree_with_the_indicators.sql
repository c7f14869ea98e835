-- fct_indicator and mart_rural_subsidies roll the same county sums up by two ways; what they say must be the same.
with compared as (
    select
        fact.indicator_code,
        fact.period,
        fact.area_code,
        fact.coverage_n,
        fact.numerator,
        fact.value,
        fact.status,
        mart.period as mart_period,
        mart.coverage_n as mart_coverage_n,
        mart.teacher_coverage_n,
        mart.paid_yuan,
        mart.rural_teacher_coverage_percent,
        mart.status as mart_status
    from {{ ref('fct_indicator') }} as fact
    inner join {{ source('policy', 'calibers') }} as calibers on fact.caliber_id = calibers.caliber_id and calibers.is_default
    left join {{ ref('mart_rural_subsidies') }} as mart
        on
            fact.period = mart.period
            and fact.area_code = mart.area_code
            and mart.programme = '乡村教师生活补助'
            and mart.is_total
)

select *
from compared
where
    (
        indicator_code = 'living_allowance_paid_share'
        and (
            mart_period is null
            -- The mart asks for more terms than the indicator, so equal coverage means the same counties.
            or (coverage_n = mart_coverage_n and (numerator, status) is distinct from (paid_yuan, mart_status))
        )
    )
    or (
        indicator_code = 'living_allowance_rural_teacher_coverage'
        and (coverage_n, value) is distinct from (teacher_coverage_n, rural_teacher_coverage_percent)
    )
