-- The sums of the rows of this return that indicators count, by atom.
{{ atoms_of('teacher_pay', ref('stg_teacher_pay'), references=['school']) }}
