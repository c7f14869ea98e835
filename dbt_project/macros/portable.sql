{#
    What DuckDB and Spark SQL 4 write differently, dispatched by adapter: every model keeps to the common ground of both and
    calls these six for the rest (default: DuckDB). A test greps the compiled models for what must not stand in them.
#}

{# A whole number of up to 38 digits. #}
{% macro whole_type() %}{{ return(adapter.dispatch('whole_type', 'xianbao')()) }}{% endmacro %}
{% macro default__whole_type() %}{{ return('hugeint') }}{% endmacro %}
{% macro spark__whole_type() %}{{ return('decimal(38, 0)') }}{% endmacro %}

{# dividend ÷ divisor without the remainder, both whole. Spark's `div` would wrap beyond 2^63. #}
{% macro whole_quotient(dividend, divisor) %}{{ return(adapter.dispatch('whole_quotient', 'xianbao')(dividend, divisor)) }}{% endmacro %}
{% macro default__whole_quotient(dividend, divisor) %}{{ return('((' ~ dividend ~ ') // (' ~ divisor ~ '))') }}{% endmacro %}
{% macro spark__whole_quotient(dividend, divisor) %}
    {{ return('cast(((' ~ dividend ~ ') - (' ~ dividend ~ ') % (' ~ divisor ~ ')) / (' ~ divisor ~ ') as decimal(38, 0))') }}
{% endmacro %}

{# Texts of a group in one, in an order whose keys are unique; `condition`: of which rows. #}
{% macro text_list(text, separator, order_by, condition=none) %}
    {{ return(adapter.dispatch('text_list', 'xianbao')(text, separator, order_by, condition)) }}
{% endmacro %}
{% macro default__text_list(text, separator, order_by, condition) %}
    {{ return(
        'string_agg(' ~ text ~ ", '" ~ separator ~ "' order by " ~ order_by ~ ')'
        ~ (' filter (where ' ~ condition ~ ')' if condition else '')
    ) }}
{% endmacro %}
{% macro spark__text_list(text, separator, order_by, condition) %}
    {{ return(
        'listagg(' ~ text ~ ", '" ~ separator ~ "') within group (order by " ~ order_by ~ ')'
        ~ (' filter (where ' ~ condition ~ ')' if condition else '')
    ) }}
{% endmacro %}

{# The text at a path of a JSON text; null where there is none. #}
{% macro json_text(json, path) %}{{ return(adapter.dispatch('json_text', 'xianbao')(json, path)) }}{% endmacro %}
{% macro default__json_text(json, path) %}{{ return('json_extract_string(' ~ json ~ ', ' ~ path ~ ')') }}{% endmacro %}
{% macro spark__json_text(json, path) %}{{ return('get_json_object(' ~ json ~ ', ' ~ path ~ ')') }}{% endmacro %}

{# Whole days from one date to another. #}
{% macro days_between(from_day, to_day) %}{{ return(adapter.dispatch('days_between', 'xianbao')(from_day, to_day)) }}{% endmacro %}
{% macro default__days_between(from_day, to_day) %}{{ return('(' ~ to_day ~ ' - ' ~ from_day ~ ')') }}{% endmacro %}
{% macro spark__days_between(from_day, to_day) %}{{ return('datediff(' ~ to_day ~ ', ' ~ from_day ~ ')') }}{% endmacro %}

{# The last day of the month that lies n months after that of a day. #}
{% macro month_end_after(day, months) %}{{ return(adapter.dispatch('month_end_after', 'xianbao')(day, months)) }}{% endmacro %}
{% macro default__month_end_after(day, months) %}
    {{ return("last_day(" ~ day ~ " + interval '1 month' * (" ~ months ~ "))") }}
{% endmacro %}
{% macro spark__month_end_after(day, months) %}{{ return('last_day(add_months(' ~ day ~ ', ' ~ months ~ '))') }}{% endmacro %}

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
