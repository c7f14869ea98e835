-- One rounding, from the terms, everywhere: every rate, average and ratio that is published equals the exact quotient of the
-- terms that stand beside it, half up at its four decimals. Each row returned names a table and a row that differ.
with fact as (
    select
        fact.*,
        indicators.factor,
        indicators.side_factor,
        indicators.shape,
        {{ scale_of('indicators.indicator_code') }} as scale
    from {{ ref('fct_indicator') }} as fact
    inner join {{ source('declared', 'indicator') }} as indicators on fact.indicator_code = indicators.indicator_code
)

select
    'fct_indicator.value' as figure,
    concat_ws(' ', indicator_code, caliber_id, period, area_code) as place
from fact
where
    status in ('complete', 'partial', 'implausible')
    and shape not in ('change', 'dispersion', 'quantile')
    and value is distinct from {{ rate_of_averages(
        'numerator_sum', 'numerator_base_sum', "case when shape = 'count' then 1 else denominator_sum end",
        'denominator_base_sum', 'factor', 'scale'
    ) }}
{% for side in ('numerator', 'denominator') %}
    union all
    select
        'fct_indicator.{{ side }}' as figure,
        concat_ws(' ', indicator_code, caliber_id, period, area_code) as place
    from fact
    where
        {{ side }} is distinct from case
            when {{ side }}_base_sum is null then cast({{ side }}_sum as decimal(38, 4))
            else {{ rate(
                side ~ '_sum', side ~ '_base_sum', 'side_factor', 'scale'
            ) }}
        end
{% endfor %}
union all
-- The two sides as they are shown, themselves rounded at four decimals, give the value to within that.
select
    'fct_indicator.numerator ÷ denominator' as figure,
    concat_ws(' ', indicator_code, caliber_id, period, area_code) as place
from fact
where
    value is not null
    and shape not in ('change', 'dispersion', 'quantile', 'count')
    and not abs(value * denominator - numerator * factor)
    <= cast(0.00005 as decimal(38, 5)) * (denominator + case when numerator_base_sum is null then 0 else value + factor end)
union all
select
    'mart_recast_indicator.value' as figure,
    concat_ws(' ', recast.indicator_code, recast.caliber_id, recast.period, recast.area_code) as place
from {{ ref('mart_recast_indicator') }} as recast
inner join {{ source('declared', 'indicator') }} as indicators on recast.indicator_code = indicators.indicator_code
where
    recast.value is not null
    and recast.value is distinct from {{ rate_of_averages(
        'recast.numerator_sum', 'recast.numerator_base_sum',
        "case when indicators.shape = 'count' then 1 else recast.denominator_sum end", 'recast.denominator_base_sum',
        'indicators.factor', scale_of('indicators.indicator_code')
    ) }}
{% for table in ('mart_overview', 'mart_gap') %}
    union all
    select
        '{{ table }}.value' as figure,
        concat_ws(' ', other.indicator_code, other.caliber_id, other.period, other.area_code) as place
    from {{ ref(table) }} as other
    left join fact
        on
            other.indicator_code = fact.indicator_code
            and other.caliber_id = fact.caliber_id
            and other.period = fact.period
            and other.area_code = fact.area_code
    where other.value is distinct from fact.value or other.is_standard_met is distinct from fact.is_standard_met
{% endfor %}
{% for table, grain, rates in (
    ('mart_gross_enrolment', ('stage', 'caliber_id'), (
        ('gross_rate_percent', 'enrolled_n', 'official_age_population_n', 100),
        ('gross_rate_female_percent', 'enrolled_female_n', 'official_age_population_female_n', 100),
        ('gross_rate_male_percent', 'enrolled_male_n', 'official_age_population_male_n', 100),
    )),
    ('mart_teacher_pay_parity', ('caliber_id',), (
        ('teacher_average_yuan', 'teacher_pay_yuan', 'teachers', 1),
        ('civil_servant_average_yuan', 'civil_servant_pay_yuan', 'civil_servants', 1),
    )),
    ('mart_rural_subsidies', ('programme', 'tier'), (
        ('school_coverage_percent', 'rural_schools_covered_n', 'rural_schools_n', 100),
        ('teachers_paid_percent', 'teachers_paid_n', 'teachers_entitled_n', 100),
        ('rural_teacher_coverage_percent', 'rural_teachers_paid_n', 'rural_teachers_n', 100),
        ('paid_percent', 'paid_yuan', 'due_yuan', 100),
        ('paid_monthly_average_yuan', 'paid_yuan', 'paid_teacher_months_n', 1),
        ('standard_monthly_average_yuan', 'due_recomputed_yuan', 'entitled_teacher_months_n', 1),
    )),
    ('mart_subsidy_reconciliation', ('programme', 'tier'), (
        ('paid_percent', 'paid_yuan', 'due_yuan', 100),
        ('paid_of_entitled_percent', 'paid_yuan', 'entitled_yuan', 100),
    )),
) %}
    {% for name, numerator, denominator, factor in rates %}
        union all
        select
            '{{ table }}.{{ name }}' as figure,
            concat_ws(' ', period, area_code, {{ grain | join(', ') }}) as place
        from {{ ref(table) }}
        where
            {{ name }} is distinct from {{ rate(numerator, denominator, factor) }}
            {% if name == 'gross_rate_percent' or table == 'mart_teacher_pay_parity' %}
                and status in ('complete', 'partial', 'implausible')
            {% elif name.endswith('male_percent') %}
                and sex_status in ('complete', 'partial', 'implausible')
            {% endif %}
    {% endfor %}
{% endfor %}
union all
select
    'mart_teacher_pay_parity.' || case
        when ratio is distinct from {{ rate_of_averages(
            'teacher_pay_yuan', 'teachers', 'civil_servant_pay_yuan', 'civil_servants'
        ) }} then 'ratio'
        else 'gap_yuan_per_teacher'
    end as figure,
    concat_ws(' ', period, area_code, caliber_id) as place
from {{ ref('mart_teacher_pay_parity') }}
where
    status in ('complete', 'partial')
    and (
        ratio is distinct from {{ rate_of_averages(
            'teacher_pay_yuan', 'teachers', 'civil_servant_pay_yuan', 'civil_servants'
        ) }}
        -- The difference of the two averages, each exact: within half a ten-thousandth of the average of the gap in cents.
        or abs(gap_yuan_per_teacher * teachers - gap_total_yuan)
        > cast(0.00005 as decimal(38, 5)) * teachers + cast(0.005 as decimal(38, 3))
    )
