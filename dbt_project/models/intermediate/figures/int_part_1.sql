-- What each county contributes to indicators that are made of figures of terms: judged and met, or weighed.
{{ parts_of_layer(1, [ref('int_figure_0')]) }}
