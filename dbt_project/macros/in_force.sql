{#- The landed rows of a return in the version in force of each filing: `landed` and its `filing`. -#}
{% macro rows_in_force(return_code) -%}
    {{ source('landing', return_code) }} as landed
    inner join {{ ref('stg_filing') }} as filing
        on
            landed.submission_id = filing.submission_id
            and landed.screening_seq = filing.screening_seq
            and landed.county_code = filing.county_code
            and landed.period = filing.period
            and filing.return_code = '{{ return_code }}'
            and filing.is_in_force
{%- endmacro %}

{#- Whether a filing lies in the scope of a decision, of which a null column means every one. -#}
{% macro concerns(decision, filing) -%}
    coalesce({{ decision }}.return_code, {{ filing }}.return_code) = {{ filing }}.return_code
    and coalesce({{ decision }}.county_code, {{ filing }}.county_code) = {{ filing }}.county_code
    and coalesce({{ decision }}.period, {{ filing }}.period) = {{ filing }}.period
{%- endmacro %}
