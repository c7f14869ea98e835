{# Schemas are named exactly as configured: no target prefix, for BI reads `marts` and Python writes `landing`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
