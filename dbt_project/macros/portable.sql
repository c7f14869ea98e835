{# What DuckDB and Spark say differently: the texts of a group as one, in the order of a unique key. #}
{% macro text_list(expression, separator, order_key, condition=none) -%}
    string_agg({{ expression }}, '{{ separator }}' order by {{ order_key }})
    {%- if condition %} filter (where {{ condition }}){% endif %}
{%- endmacro %}

{# The whole part of a quotient of whole numbers. #}
{% macro whole_quotient(dividend, divisor) -%}
    (({{ dividend }}) // ({{ divisor }}))
{%- endmacro %}

{# A text of a JSON object. #}
{% macro json_text(json, path) -%}
    json_extract_string({{ json }}, '{{ path }}')
{%- endmacro %}
