-- Figures of indicators that are made of terms.
{{ figures(ref('int_part_0')) }}
