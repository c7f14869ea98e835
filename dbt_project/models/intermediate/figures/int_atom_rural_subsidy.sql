-- The sums of the rows of this return that indicators count, by atom.
{{ atoms_of('rural_subsidy', ref('stg_rural_subsidy'), references=['school']) }}
