{#
    What DuckDB and Spark SQL 4 write differently: every model keeps to the common ground of both and calls these six for the
    rest. A test greps the compiled models for what must not stand in them.
#}

{% macro is_spark() -%}
    {{ 'yes' if target is defined and target.type == 'spark' else '' }}
{%- endmacro %}

{# A whole number of up to 38 digits. #}
{% macro whole_type() -%}
    {{ 'decimal(38, 0)' if is_spark() else 'hugeint' }}
{%- endmacro %}

{# dividend ÷ divisor without the remainder, both whole. Spark's `div` would wrap beyond 2^63. #}
{% macro whole_quotient(dividend, divisor) -%}
    {%- if is_spark() -%}
        cast((({{ dividend }}) - ({{ dividend }}) % ({{ divisor }})) / ({{ divisor }}) as decimal(38, 0))
    {%- else -%}
        (({{ dividend }}) // ({{ divisor }}))
    {%- endif -%}
{%- endmacro %}

{# Texts of a group in one, in an order whose keys are unique; `condition`: of which rows. #}
{% macro text_list(text, separator, order_by, condition=none) -%}
    {%- if is_spark() -%}
        listagg({{ text }}, '{{ separator }}') within group (order by {{ order_by }})
    {%- else -%}
        string_agg({{ text }}, '{{ separator }}' order by {{ order_by }})
    {%- endif -%}
    {%- if condition %} filter (where {{ condition }}){% endif -%}
{%- endmacro %}

{# The text at a path of a JSON text; null where there is none. #}
{% macro json_text(json, path) -%}
    {{ 'get_json_object' if is_spark() else 'json_extract_string' }}({{ json }}, {{ path }})
{%- endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(from_day, to_day) -%}
    {%- if is_spark() -%}datediff({{ to_day }}, {{ from_day }}){%- else -%}({{ to_day }} - {{ from_day }}){%- endif -%}
{%- endmacro %}

{# The last day of the month that lies n months after that of a day. #}
{% macro month_end_after(day, months) -%}
    {%- if is_spark() -%}
        last_day(add_months({{ day }}, {{ months }}))
    {%- else -%}
        last_day({{ day }} + interval '1 month' * ({{ months }}))
    {%- endif -%}
{%- endmacro %}

{# 1, 0 or -1 as a whole number: `sign` is a DOUBLE on Spark and drags the product along. #}
{% macro sign_of(number) -%}
    case when {{ number }} > 0 then 1 when {{ number }} < 0 then -1 else 0 end
{%- endmacro %}

{# The four digits of a day's year. #}
{% macro year_text(day) -%}
    cast(year({{ day }}) as string)
{%- endmacro %}

{# A relation `numbers (n)` of whole numbers, from the first to the one before the last. #}
{% macro numbers(first, last) -%}
    (values {% for n in range(first, last) %}({{ n }}){{ ', ' if not loop.last }}{% endfor %}) as numbers (n)
{%- endmacro %}
