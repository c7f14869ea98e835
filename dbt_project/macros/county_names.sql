{#- The counties by the name that they bear last, for findings, versions and decisions of any time: `county`. -#}
{% macro county_names() -%}
county as (
    select
        county_code,
        arg_max(county_name, valid_from) as county_name
    from {{ source('control', 'county') }}
    group by county_code
)
{%- endmacro %}
