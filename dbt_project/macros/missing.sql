{#
    Does a cell lack the number it should hold? Not applicable (不适用) and included elsewhere (并入) are answers and add
    nothing to a sum; not reported (缺报), or an empty cell without any answer, makes the sum a missing term.
#}
{% macro is_lacking(column_name, table_alias='') -%}
    {%- set prefix = table_alias ~ '.' if table_alias else '' -%}
    (
        {{ prefix }}{{ column_name }} is null
        and coalesce({{ code_alone("json_extract_string(" ~ prefix ~ "missing_codes, '$." ~ column_name ~ "')") }}, '')
        not in ('not_applicable', 'included_elsewhere')
    )
{%- endmacro %}

{#
    A cell without a number in the landed missing_codes: the code alone, and the column that a cell answered 并入 names
    (`included_elsewhere:<column>`; null where it names none).
#}
{% macro code_alone(landed_code) -%}
    split_part({{ landed_code }}, ':', 1)
{%- endmacro %}

{% macro included_in(landed_code) -%}
    nullif(split_part({{ landed_code }}, ':', 2), '')
{%- endmacro %}

{# The sum of a column over a group; null (a missing term) when any cell of it is lacking. #}
{% macro sum_or_missing(column_name, table_alias='') -%}
    {%- set prefix = table_alias ~ '.' if table_alias else '' -%}
    case
        when not bool_or({{ is_lacking(column_name, table_alias) }})
            then coalesce(sum({{ prefix }}{{ column_name }}), 0)
    end
{%- endmacro %}

{# The columns' sums (or missing terms) as a list, to be unnested beside the list of their names. #}
{% macro sums_or_missing(column_names) -%}
    [{% for column_name in column_names %}{{ sum_or_missing(column_name) }}{{ ', ' if not loop.last }}{% endfor %}]
{%- endmacro %}

{# Yuan by component, as both pay returns name them; must equal the seed pay_components (tested there). #}
{% macro pay_components() -%}
    {{ return([
        'basic_salary_yuan', 'performance_pay_yuan', 'allowance_yuan', 'year_end_bonus_yuan', 'local_incentive_yuan',
        'rural_living_allowance_yuan', 'township_allowance_yuan', 'hardship_allowance_yuan', 'reform_allowance_yuan',
        'employer_insurance_yuan', 'other_yuan',
    ]) }}
{%- endmacro %}

{# The calendar day in China (UTC+8, no summer time) of a UTC time stamp. #}
{% macro china_date(utc_timestamp) -%}
    cast({{ utc_timestamp }} + interval 8 hour as date)
{%- endmacro %}
