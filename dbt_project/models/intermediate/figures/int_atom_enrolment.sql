-- The sums of the rows of this return that indicators count, by atom.
{{ atoms_of('enrolment', ref('stg_enrolment')) }}
