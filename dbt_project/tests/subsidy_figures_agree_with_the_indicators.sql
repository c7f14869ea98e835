-- fct_indicator and mart_rural_subsidies roll the same county sums up by two ways; the totals must be the same yuan.
select
    fact.period,
    fact.area_code,
    fact.numerator as fact_paid_yuan,
    mart.paid_yuan as mart_paid_yuan
from {{ ref('fct_indicator') }} as fact
inner join {{ ref('calibers') }} as calibers on fact.caliber_id = calibers.caliber_id and calibers.is_default
left join {{ ref('mart_rural_subsidies') }} as mart
    on
        fact.period = mart.period
        and fact.area_code = mart.area_code
        and mart.programme = '乡村教师生活补助'
        and mart.is_total
where
    fact.indicator_code = 'living_allowance_paid_share'
    and (
        mart.period is null
        -- The mart asks for more terms than the indicator, so equal coverage means the same counties.
        or (fact.coverage_n = mart.coverage_n and fact.numerator is distinct from mart.paid_yuan)
    )
