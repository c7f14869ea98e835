{# The four sides of (numerator ÷ numerator base) ÷ (denominator ÷ denominator base). #}
{% macro figure_terms() -%}
    {{ return(['numerator', 'numerator_base', 'denominator', 'denominator_base']) }}
{%- endmacro %}
