-- What each county contributes to each indicator, of all layers: see int_part_0.
{{ config(materialized='view') }}
{% for layer in range(3) %}
    select * from {{ ref('int_part_' ~ layer) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
