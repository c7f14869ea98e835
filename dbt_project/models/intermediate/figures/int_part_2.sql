-- What each county contributes to indicators that are made of figures of figures.
{{ parts_of_layer(2, [ref('int_figure_0'), ref('int_figure_1')]) }}
