-- Figures of indicators that are made of figures of terms.
select * from ({{ figures(ref('int_part_1')) }}) as rolled_up
union all
select * from ({{ changes_of_layer(1, [ref('int_figure_0')]) }}) as changed
