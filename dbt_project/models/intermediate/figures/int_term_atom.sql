-- Which atoms a term sums, by caliber: those whose member is taken in every dimension that the term filters.
-- `is_unknown`: nobody can say the member ('' in the atom), so the term is missing where the atom has cells.
with atom as (
    select distinct
        return_code,
        atom_column,
        signature,
        atom
    from {{ ref('int_atom') }}
),

candidate as (
    select distinct
        asked.term,
        term_set.variant,
        term_set.caliber_id,
        atom.return_code,
        atom.atom,
        atom.atom_column,
        atom.signature,
        asked.measure_dimension,
        asked.measure_member
    from {{ ref('int_term') }} as asked
    inner join (
        select distinct
            term,
            variant,
            caliber_id
        from {{ ref('int_term_set') }}
    ) as term_set on asked.term = term_set.term
    inner join atom on asked.atom_column = atom.atom_column and asked.signature = atom.signature
),

member as (
    select
        candidate.term,
        candidate.variant,
        candidate.caliber_id,
        candidate.return_code,
        candidate.atom_column,
        candidate.signature,
        candidate.atom,
        position.dimension,
        split_part(candidate.atom, '|', position.place) as member
    from candidate
    inner join
        {{ ref('int_signature') }} as position
        on candidate.return_code = position.return_code and candidate.signature = position.signature
    union all
    select
        term,
        variant,
        caliber_id,
        return_code,
        atom_column,
        signature,
        atom,
        measure_dimension as dimension,
        measure_member as member
    from candidate
    where measure_dimension is not null
    union all
    select
        term,
        variant,
        caliber_id,
        return_code,
        atom_column,
        signature,
        atom,
        '' as dimension,
        '-' as member
    from candidate
)

select
    member.term,
    member.variant,
    member.caliber_id,
    member.return_code,
    member.atom_column,
    member.signature,
    member.atom,
    bool_or(member.member = '') as is_unknown
from member
left join {{ ref('int_term_set') }} as term_set
    on
        member.term = term_set.term
        and member.variant = term_set.variant
        and member.caliber_id = term_set.caliber_id
        and member.dimension = term_set.dimension
        and member.member = term_set.member
group by
    member.term,
    member.variant,
    member.caliber_id,
    member.return_code,
    member.atom_column,
    member.signature,
    member.atom
having bool_and(
    term_set.member is not null
    or member.member = ''
    or member.dimension = ''
    -- A measure's dimension of which the term takes every member.
    or not exists (
        select 1 from {{ source('declared', 'term_filter') }} as filtered
        where filtered.term = member.term and filtered.dimension = member.dimension
    )
)
