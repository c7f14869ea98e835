-- The sums of the rows of this model that indicators count, by atom.
{{ atoms_of('school_payroll', ref('int_school_payroll')) }}
