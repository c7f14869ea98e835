-- What each county contributes to each indicator: a row for every expected part, with both terms or without them, and
-- whether the county's own figure of the period can stand in a sum over counties.
--
-- Every indicator is (numerator ÷ numerator base) ÷ (denominator ÷ denominator base) × factor; a base of null means
-- "not divided". Bases are there for ratios of averages, so that the roll-up can sum each of the four terms.
-- A part is a county's filing of one period; the figures of a calendar year are made of its quarters or months.
--
-- county_status, the same for all parts of a county's period: covered; missing (a term lacks in some part); error or
-- not_applicable (over a zero there is no figure, or what is counted does not exist there). Only what is covered enters
-- a sum (is_covered), and a programme or rural school that does not exist there and adds nothing to any side: the
-- answer is there, and it is nothing.
with indicator as (
    select
        indicators.indicator_code,
        indicators.return_code,
        indicators.stage,
        indicators.measure,
        indicators.programme,
        indicators.factor,
        indicators.zero_denominator,
        -- Under another register the pupils are no part of the people they are divided by.
        case when calibers.is_default then indicators.ceiling end as ceiling,
        calibers.caliber_id,
        calibers.valid_from,
        calibers.valid_to,
        caliber_members.member as register
    from {{ ref('indicators') }} as indicators
    inner join {{ source('policy', 'calibers') }} as calibers on indicators.caliber_kind = calibers.caliber_kind
    left join {{ source('policy', 'caliber_members') }} as caliber_members
        on calibers.caliber_id = caliber_members.caliber_id and caliber_members.dimension = 'population_register'
),

expected_part as (
    select
        indicator.*,
        expected.county_code,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.period as part_period,
        expected.calendar_year,
        expected.period_type,
        expected.is_year_spanned,
        expected.is_year_spanned_by_all,
        expected.reference_on,
        expected.school_year
    from {{ ref('stg_expected_filing') }} as expected
    inner join indicator
        on
            expected.return_code = indicator.return_code
            and expected.period_start >= indicator.valid_from
            and (indicator.valid_to is null or expected.period_start < indicator.valid_to)
),

-- School year 2024-2025, as of 1 September 2024, stands against the people of calendar year 2024.
enrolment_part as (
    select
        expected_part.*,
        {% for side in figure_terms() %}
            {{ of_measure('expected_part.measure', side, ['enrolment']) }} as {{ side }},
        {% endfor %}
        {% for side in ('numerator', 'denominator') %}
            {{ of_measure(
                'expected_part.measure', side ~ '_return', ['enrolment'], is_text=true
            ) }} as {{ side }}_return,
        {% endfor %}
        coalesce(enrolment.is_absent, false) as is_absent,
        -- There are people of every age everywhere.
        false as is_nothing,
        concat_ws(
            '，',
            nullif(
                case expected_part.measure when 'net' then enrolment.lacking_of_age else enrolment.lacking end, ''
            ),
            case
                when
                    population.county_code is null
                    and people.submission_id is not null
                    then '未报' || expected_part.register || '人口'
            end
        ) as lacking,
        enrolment.submission_id as numerator_submission_id,
        population.submission_id as denominator_submission_id,
        greatest(enrolment.received_at, population.received_at) as known_at,
        population.vintage_from as population_vintage_from,
        population.vintage_to as population_vintage_to,
        population.source as population_source,
        expected_part.part_period as numerator_period,
        expected_part.calendar_year as denominator_period
    from expected_part
    left join {{ ref('int_enrolment_county') }} as enrolment
        on
            expected_part.county_code = enrolment.county_code
            and expected_part.part_period = enrolment.period
            and expected_part.stage = enrolment.stage
    left join {{ ref('int_population_county') }} as population
        on
            expected_part.county_code = population.county_code
            and expected_part.calendar_year = population.period
            and expected_part.stage = population.stage
            and expected_part.register = population.register
    left join {{ ref('stg_filing') }} as people
        on
            people.is_in_force
            and people.return_code = 'population'
            and expected_part.county_code = people.county_code
            and expected_part.calendar_year = people.period
    where expected_part.return_code = 'enrolment'
),

-- Whether a county's pay meets the standard. Over nobody, or with nothing on one side, there is nothing to judge.
-- Judged on the unrounded terms: 0.99996 does not meet 1, though it prints as 1.0000.
judged as (
    select
        expected_part.indicator_code,
        expected_part.county_code,
        expected_part.part_period,
        expected_part.caliber_id,
        case
            when pay.teachers is null or pay.civil_servants is null or parity.standard is null then null
            else cast(pay.teachers > 0 and pay.civil_servants > 0 and pay.civil_servant_pay_yuan > 0 as integer)
        end as is_judged_n,
        is_judged_n * cast({{ meets_standard(
            cross_numerator('pay.teacher_pay_yuan', 'pay.civil_servants'),
            cross_denominator('pay.teachers', 'pay.civil_servant_pay_yuan'),
            'parity.standard', 'parity.comparison'
        ) }} as integer) as is_compliant_n
    from expected_part
    inner join {{ ref('int_pay_county') }} as pay
        on
            expected_part.county_code = pay.county_code
            and expected_part.part_period = pay.period
            and expected_part.caliber_id = pay.caliber_id
    left join {{ ref('int_standard') }} as parity
        on
            parity.indicator_code = 'teacher_pay_ratio'
            and expected_part.county_code = parity.area_code
            and expected_part.calendar_year = parity.calendar_year
    where expected_part.measure = 'compliant_counties'
),

pay_part as (
    select
        expected_part.*,
        {% for side in figure_terms() %}
            {{ of_measure('expected_part.measure', side, ['teacher_pay', 'civil_servant_pay']) }} as {{ side }},
        {% endfor %}
        {% for side in ('numerator', 'denominator') %}
            {{ of_measure(
                'expected_part.measure', side ~ '_return', ['teacher_pay', 'civil_servant_pay'], is_text=true
            ) }} as {{ side }}_return,
        {% endfor %}
        false as is_absent,
        false as is_nothing,
        concat_ws(
            '，',
            case when 'teacher_pay' in (numerator_return, denominator_return) then nullif(pay.teacher_lacking, '') end,
            case
                when 'civil_servant_pay' in (numerator_return, denominator_return)
                    then nullif(pay.civil_servant_lacking, '')
            end
        ) as lacking,
        {% for side in ('numerator', 'denominator') %}
            case {{ side }}_return
                when 'teacher_pay' then pay.teacher_submission_id
                when 'civil_servant_pay' then pay.civil_servant_submission_id
            end as {{ side }}_submission_id,
            case {{ side }}_return
                when 'teacher_pay' then pay.teacher_received_at
                when 'civil_servant_pay' then pay.civil_servant_received_at
            end as {{ side }}_received_at,
        {% endfor %}
        greatest(numerator_received_at, denominator_received_at) as known_at,
        cast(null as date) as population_vintage_from,
        cast(null as date) as population_vintage_to,
        cast(null as varchar) as population_source,
        expected_part.part_period as numerator_period,
        expected_part.part_period as denominator_period
    from expected_part
    left join {{ ref('int_pay_county') }} as pay
        on
            expected_part.county_code = pay.county_code
            and expected_part.part_period = pay.period
            and expected_part.caliber_id = pay.caliber_id
    left join judged
        on
            expected_part.indicator_code = judged.indicator_code
            and expected_part.county_code = judged.county_code
            and expected_part.part_period = judged.part_period
            and expected_part.caliber_id = judged.caliber_id
    where expected_part.return_code in ('teacher_pay', 'civil_servant_pay')
),

subsidy_part as (
    select
        expected_part.*,
        {% for side in figure_terms() %}
            {{ of_measure('expected_part.measure', side, ['rural_subsidy']) }} as {{ side }},
        {% endfor %}
        {% for side in ('numerator', 'denominator') %}
            {{ of_measure(
                'expected_part.measure', side ~ '_return', ['rural_subsidy'], is_text=true
            ) }} as {{ side }}_return,
        {% endfor %}
        -- The register has no rural school, or nobody is entitled to the programme and nothing says that somebody is.
        case denominator_return
            when 'school' then coalesce(subsidy.rural_schools_n = 0, false)
            when 'teacher_pay' then coalesce(subsidy.rural_schools_n = 0, false)
            when 'rural_subsidy' then coalesce(not subsidy.is_expected and subsidy.teachers_entitled_n = 0, false)
        end as is_nothing,
        is_nothing as is_absent,
        concat_ws(
            '，',
            nullif(subsidy.lacking, ''),
            case denominator_return when 'teacher_pay' then nullif(subsidy.rural_teachers_lacking, '') end
        ) as lacking,
        subsidy.submission_id as numerator_submission_id,
        -- The rural schools stand in the register, their teachers on the payroll, not in the subsidy return.
        case denominator_return
            when 'school' then subsidy.register_submission_id
            when 'teacher_pay' then subsidy.payroll_submission_id
            when 'rural_subsidy' then subsidy.submission_id
        end as denominator_submission_id,
        case denominator_return
            when 'school' then greatest(subsidy.received_at, subsidy.register_received_at)
            when 'teacher_pay'
                then greatest(subsidy.received_at, subsidy.register_received_at, subsidy.payroll_received_at)
            when 'rural_subsidy' then subsidy.received_at
        end as known_at,
        cast(null as date) as population_vintage_from,
        cast(null as date) as population_vintage_to,
        cast(null as varchar) as population_source,
        expected_part.part_period as numerator_period,
        case denominator_return
            when 'school' then expected_part.school_year
            when 'teacher_pay' then expected_part.calendar_year
            when 'rural_subsidy' then expected_part.part_period
        end as denominator_period
    from expected_part
    left join {{ ref('int_subsidy_county') }} as subsidy
        on
            expected_part.county_code = subsidy.county_code
            and expected_part.part_period = subsidy.period
            and expected_part.caliber_id = subsidy.caliber_id
            and expected_part.programme = subsidy.programme
            and subsidy.is_total
    where expected_part.return_code = 'rural_subsidy'
),

{% for return_code, declared in plain_returns().items() %}
    {{ return_code }}_part as (
        select
            expected_part.*,
            {% for side in figure_terms() %}
                {{ of_measure('expected_part.measure', side, [return_code]) }} as {{ side }},
            {% endfor %}
            '{{ return_code }}' as numerator_return,
            '{{ return_code }}' as denominator_return,
            false as is_absent,
            false as is_nothing,
            '' as lacking,
            plain.submission_id as numerator_submission_id,
            plain.submission_id as denominator_submission_id,
            plain.received_at as known_at,
            expected_part.part_period as numerator_period,
            expected_part.part_period as denominator_period
        from expected_part
        left join (
            select
                county_code,
                period,
                any_value(submission_id) as submission_id,
                any_value(received_at) as received_at,
                {% for column in plain_columns(declared) %}
                    {{ sum_or_missing(column) }} as {{ column }}{{ ',' if not loop.last }}
                {% endfor %}
            from {{ ref('stg_' ~ return_code) }}
            group by county_code, period
        ) as plain
            on expected_part.county_code = plain.county_code and expected_part.part_period = plain.period
        where expected_part.return_code = '{{ return_code }}'
    ),
{% endfor %}

part as (
    select * from enrolment_part
    union all by name
    select * from pay_part
    union all by name
    select * from subsidy_part
    {% for return_code in plain_returns() %}
        union all by name
        select * from {{ return_code }}_part
    {% endfor %}
),

part_of_period as (
    select
        *,
        part_period as period,
        true as is_period_spanned,
        true as is_period_spanned_by_all
    from part
    union all
    select
        *,
        calendar_year as period,
        is_year_spanned as is_period_spanned,
        is_year_spanned_by_all as is_period_spanned_by_all
    from part
    where period_type in ('quarter', 'month') and measure in {{ measures_with('adds_up_over_a_year') }}
),

typed as (
    select
        * replace (
            {% for side in figure_terms() %}
                cast({{ side }} as decimal(38, 2)) as {{ side }}{{ ',' if not loop.last }}
            {% endfor %}
        ),
        -- A ratio of averages needs all four terms, a simple one two.
        numerator is not null
        and denominator is not null
        and (
            measure not in {{ measures_with('numerator_base') }}
            or (numerator_base is not null and denominator_base is not null)
        ) as has_both_terms
    from part_of_period
),

-- The county's own sums over the parts of the period.
of_county as (
    select
        indicator_code,
        caliber_id,
        period,
        county_code,
        any_value(factor) as factor,
        any_value(zero_denominator) as zero_denominator,
        any_value(ceiling) as ceiling,
        bool_and(has_both_terms) as has_both_terms,
        bool_and(is_absent) as is_absent,
        {% for side in figure_terms() %}
            sum({{ side }}) as {{ side }},
        {% endfor %}
        bool_and(is_nothing) as is_nothing
    from typed
    group by indicator_code, caliber_id, period, county_code
),

county_status as (
    select
        indicator_code,
        caliber_id,
        period,
        county_code,
        is_absent,
        {{ cross_numerator('numerator', 'denominator_base') }} as cross_numerator,
        {{ cross_denominator('numerator_base', 'denominator') }} as cross_denominator,
        case
            when not has_both_terms then 'missing'
            when is_absent and cross_numerator = 0 then 'not_applicable'
            when cross_denominator > 0 and coalesce(denominator_base, 1) > 0 then 'covered'
            when cross_numerator = 0 and cross_denominator = 0 then 'not_applicable'
            else zero_denominator
        end as county_status,
        county_status = 'covered'
        or (
            county_status = 'not_applicable'
            and is_nothing
            {% for side in figure_terms() %}
                and coalesce({{ side }}, 0) = 0
            {% endfor %}
        ) as is_covered,
        county_status = 'covered'
        and coalesce(cross_numerator * factor * 10000 > cast(ceiling * 10000 as hugeint) * cross_denominator, false)
            as is_implausible
    from of_county
)

select
    typed.indicator_code,
    typed.caliber_id,
    typed.period,
    typed.calendar_year,
    typed.county_code,
    typed.county_name,
    typed.city_code,
    typed.sort_order,
    typed.part_period,
    typed.reference_on,
    typed.is_period_spanned,
    typed.is_period_spanned_by_all,
    typed.has_both_terms,
    county_status.county_status,
    county_status.is_covered,
    county_status.is_implausible,
    -- Why the county is in no sum; '' where it is, or where the filing or a cell is simply not there.
    case
        when county_status.is_covered then ''
        when not typed.has_both_terms then typed.lacking
        when county_status.county_status = 'missing' then ''
        when county_status.is_absent then '名录中没有该学段的学校'
        else '分母为 0'
    end as lacking,
    typed.numerator,
    typed.numerator_base,
    typed.denominator,
    typed.denominator_base,
    typed.numerator_return,
    typed.numerator_period,
    typed.denominator_return,
    typed.denominator_period,
    typed.numerator_submission_id,
    typed.denominator_submission_id,
    typed.known_at,
    typed.population_vintage_from,
    typed.population_vintage_to,
    typed.population_source,
    coalesce(numerator_filing.is_settled and denominator_filing.is_settled, false) as is_settled,
    coalesce(numerator_filing.is_revised, false) or coalesce(denominator_filing.is_revised, false) as is_revised
from typed
inner join county_status
    on
        typed.indicator_code = county_status.indicator_code
        and typed.caliber_id = county_status.caliber_id
        and typed.period = county_status.period
        and typed.county_code = county_status.county_code
{% for side in ('numerator', 'denominator') %}
    left join {{ ref('stg_filing') }} as {{ side }}_filing
        on
            {{ side }}_filing.is_in_force
            and typed.{{ side }}_return = {{ side }}_filing.return_code
            and typed.{{ side }}_period = {{ side }}_filing.period
            and typed.county_code = {{ side }}_filing.county_code
{% endfor %}
