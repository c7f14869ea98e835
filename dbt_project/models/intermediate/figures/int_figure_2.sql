-- Figures of indicators that are made of figures of figures.
select * from ({{ figures(ref('int_part_2')) }}) as rolled_up
union all
select * from ({{ changes_of_layer(2, [ref('int_figure_0'), ref('int_figure_1')]) }}) as changed
