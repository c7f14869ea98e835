-- The sums of the rows of this return that indicators count, by atom.
{{ atoms_of('civil_servant_pay', ref('stg_civil_servant_pay')) }}
