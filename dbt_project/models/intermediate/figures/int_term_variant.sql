-- Which variant of a term counts for a county in a part; terms without groups have none.
{{ config(materialized='view') }}
select distinct
    term,
    anchor_return,
    county_code,
    part_period,
    variant
from {{ ref('int_group_choice') }}
