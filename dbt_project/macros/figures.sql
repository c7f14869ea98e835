{#
    Exact arithmetic for figures. DuckDB divides decimals as DOUBLE, so a rate is divided here as whole numbers:
    terms (at most two decimals) are scaled to hundredths, the quotient is taken to four decimals, half up.

    No accepted file may overflow. Screening lets a cell hold 10^11 yuan, 10^6 heads or 10^7 persons; 100 counties of
    10^5 rows sum to less than 10^20 yuan and 10^13 heads. Civil servants stand in one row a county and caliber, so
    the largest term of a ratio of averages is 10^22 (hundredths of yuan) × 10^10 (hundredths of heads) × 10^4: 10^36,
    under the 1.7 × 10^38 of a HUGEINT. Sums are therefore DECIMAL(38,2) and quotients DECIMAL(38,4).
#}

{# A term as a whole number of hundredths, or of other parts of one (`scale`: how many make up one). #}
{% macro hundredths(term, scale='100') -%}
    cast(({{ term }}) * {{ scale }} as {{ whole_type() }})
{%- endmacro %}

{# Whole-number quotient rounded half away from zero; null when the divisor is 0 or null, or a term is null. #}
{% macro half_up_quotient(dividend, divisor) -%}
    case when ({{ divisor }}) > 0 then
        {{ sign_of(dividend) }} * {{ whole_quotient('2 * abs(' ~ dividend ~ ') + (' ~ divisor ~ ')', '2 * (' ~ divisor ~ ')') }}
    end
{%- endmacro %}

{# A whole number of ten-thousandths as DECIMAL(38,4). #}
{% macro decimal_of(ten_thousandths) -%}
    cast(cast({{ ten_thousandths }} as decimal(38, 0)) * 0.0001 as decimal(38, 4))
{%- endmacro %}

{#
    numerator ÷ denominator × factor as DECIMAL(38,4), half up, exact; null when the denominator is 0 or a term is null.
    factor: a whole number (100 for percent) or the name of an integer column.
#}
{% macro rate(numerator, denominator, factor=1, scale='100') -%}
    {{ decimal_of(half_up_quotient(
        '(' ~ hundredths(numerator, scale) ~ ' * ' ~ factor ~ ' * 10000)', hundredths(denominator, scale)
    )) }}
{%- endmacro %}

{#
    (numerator ÷ numerator base) ÷ (denominator ÷ denominator base) × factor, divided once so that no average is
    rounded on the way. A base of null means "not divided".
#}
{% macro rate_of_averages(numerator, numerator_base, denominator, denominator_base, factor=1, scale='100') -%}
    {{ decimal_of(half_up_quotient(
        '(' ~ cross_numerator(numerator, denominator_base, scale) ~ ' * ' ~ factor ~ ' * 10000)',
        cross_denominator(numerator_base, denominator, scale)
    )) }}
{%- endmacro %}

{% macro cross_numerator(numerator, denominator_base, scale='100') -%}
    ({{ hundredths(numerator, scale) }} * {{ hundredths('coalesce(' ~ denominator_base ~ ', 1)', scale) }})
{%- endmacro %}

{% macro cross_denominator(numerator_base, denominator, scale='100') -%}
    ({{ hundredths('coalesce(' ~ numerator_base ~ ', 1)', scale) }} * {{ hundredths(denominator, scale) }})
{%- endmacro %}

{# A decimal as plain text: no thousands mark, no idle zeros after the point (125.00 reads 125). #}
{% macro plain_number(decimal_term) -%}
    trim(trailing '.' from trim(trailing '0' from cast({{ decimal_term }} as string)))
{%- endmacro %}

{#
    Is the figure of enough counties there to be given? 'complete' (every expected county, and the calendar's parts span
    the period), 'partial', 'withheld' (no county, or a share under control.run.withhold_below), or 'undefined' (every county
    has reported, and none has a figure: is_undefined).
#}
{% macro coverage_status(coverage_n, expected_n, withhold_below, is_period_spanned, is_undefined='false') -%}
    case
        when {{ is_undefined }} then 'undefined'
        when {{ coverage_n }} = 0 or {{ coverage_n }} < {{ withhold_below }} * {{ expected_n }} then 'withheld'
        when {{ coverage_n }} < {{ expected_n }} or not {{ is_period_spanned }} then 'partial'
        else 'complete'
    end
{%- endmacro %}

{# Is dividend ÷ divisor × factor on the right side of the standard? On unrounded whole-number terms. #}
{% macro meets_standard(dividend, divisor, standard, comparison, factor=1) -%}
    case {{ comparison }}
        when '<='
            then {{ dividend }} * {{ factor }} * 10000 <= cast({{ standard }} * 10000 as {{ whole_type() }}) * {{ divisor }}
        else {{ dividend }} * {{ factor }} * 10000 >= cast({{ standard }} * 10000 as {{ whole_type() }}) * {{ divisor }}
    end
{%- endmacro %}

{#
    How many more persons (rounded up) the numerator needs for the percentage to reach its standard; 0 when it is met,
    null without standard or terms. Percent with four decimals × hundredths of persons: whole 1/100,000,000 persons.
#}
{% macro persons_short(numerator, denominator, standard_percent) -%}
    case when {{ standard_percent }} is not null and {{ numerator }} is not null and {{ denominator }} is not null then
        cast(greatest(0, {{ whole_quotient(
            'cast(' ~ standard_percent ~ ' * 10000 as ' ~ whole_type() ~ ') * ' ~ hundredths(denominator)
            ~ ' - ' ~ hundredths(numerator) ~ ' * 1000000 + 99999999', '100000000'
        ) }}) as bigint)
    end
{%- endmacro %}

{# An amount as it is said: whole persons, schools, counties; from 10,000 yuan up 万元 to one decimal, half up. #}
{% macro amount_in_words(amount, counted) -%}
    case
        when {{ counted }} != '元' then cast(cast({{ amount }} as {{ whole_type() }}) as varchar)
        when {{ amount }} >= 10000
            then {{ plain_number(
                'cast(cast(' ~ half_up_quotient(hundredths(amount), '100000')
                ~ ' as decimal(38, 0)) * 0.1 as decimal(38, 1))'
            ) }} || ' 万元'
        else {{ plain_number(amount) }} || ' 元'
    end
{%- endmacro %}

{#
    What keeps a county out of a sum, as it is named among the missing: its name, with the part of the period and the reason
    where there are any. An aggregate over the parts of a county's period (int_indicator_term); null where it is in.
#}
{% macro missing_parts(term='') -%}
    {%- set of_term = term ~ '.' if term else '' -%}
    case
        when not bool_and({{ of_term }}is_covered)
            then
                case max({{ of_term }}county_status)
                    when 'missing'
                        then {{ text_list(
                            of_term ~ "county_name || coalesce('（' || nullif(concat_ws(' ', case when " ~ of_term
                            ~ "part_period != " ~ of_term ~ "period then " ~ of_term ~ "part_period end, nullif(" ~ of_term
                            ~ "lacking, '')), '') || '）', '')",
                            '、', of_term ~ 'part_period', 'not ' ~ of_term ~ 'has_terms'
                        ) }}
                    else max({{ of_term }}county_name) || '（' || max({{ of_term }}lacking) || '）'
                end
    end
{%- endmacro %}

{#
    The status of an area's figure: of its coverage where it has a value, implausible where a county that is in it has a share
    above what is possible; over zeros error, or not_applicable where nothing stands over them.
#}
{% macro figure_status(
    coverage_status, value, is_implausible, has_error, cross_numerator, cross_denominator, zero_denominator
) -%}
    case
        when {{ coverage_status }} = 'withheld' then 'withheld'
        when {{ coverage_status }} = 'undefined' then case when {{ has_error }} then 'error' else 'not_applicable' end
        when {{ value }} is not null and {{ is_implausible }} then 'implausible'
        when {{ value }} is not null then {{ coverage_status }}
        when {{ cross_numerator }} = 0 and {{ cross_denominator }} = 0 then 'not_applicable'
        else {{ zero_denominator }}
    end
{%- endmacro %}

{# Provisional, revised or final; of incomplete coverage provisional, whatever was corrected or settled. #}
{% macro finality(coverage_status, is_settled, is_revised) -%}
    case
        when {{ coverage_status }} = 'withheld' then null
        when {{ coverage_status }} = 'complete' and {{ is_settled }} then 'final'
        when {{ coverage_status }} = 'complete' and {{ is_revised }} then 'revised'
        else 'provisional'
    end
{%- endmacro %}
