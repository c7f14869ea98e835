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
