{#
    Returns whose indicators are plain: what the rows of a county sum to in one column, over what they sum to in another. They
    are declared in dbt_project.yml (vars, plain_returns); terms, lineage and the words of distances follow, from stg_<return>:

        <return>:
          row_label: the column by which a row is called
          measures:
            <measure>: {numerator: column, denominator: column, gap: [counted in, short of the standard, beyond it]}

    `adds_up_over_a_year: true` where what is counted in quarters or months may be summed. The name of a measure is its alone.
#}
{% macro plain_returns() -%}
    {%- set declared = var('plain_returns', none) -%}
    {{ return(declared if declared is mapping else {}) }}
{%- endmacro %}

{# The columns that the measures of a plain return rest on, each once. #}
{% macro plain_columns(declared) -%}
    {%- set found = [] -%}
    {%- for sides in declared.measures.values() -%}
        {%- for column in (sides.numerator, sides.denominator) if column not in found -%}
            {%- do found.append(column) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
