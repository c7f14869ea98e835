-- The atoms of all returns.
{{ config(materialized='view') }}
{% for return_code in analysed_returns() %}
    select * from {{ ref('int_atom_' ~ return_code) }}
    {{ 'union all' if not loop.last }}
{% endfor %}
