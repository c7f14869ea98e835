-- Figures of indicators that are made of terms.
select * from ({{ figures(ref('int_part_0')) }}) as rolled_up
union all
select * from {{ ref('int_dispersion') }}
