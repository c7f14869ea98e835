-- The sums of the rows of this return that indicators count, by atom.
{{ atoms_of('population', ref('stg_population')) }}
