-- What the terms of indicators ask of each return: a row for every column that a term sums, with the dimensions by
-- which its rows are told apart (`signature`, in the return's own order; the dimension of a measure is told by the
-- column itself). Terms with one signature share the sums of a column: their atoms (int_atom_<return>).
with used as (
    select distinct
        indicator_term.term,
        indicator.per is not null as is_by_unit
    from {{ source('declared', 'indicator_term') }} as indicator_term
    inner join {{ source('declared', 'indicator') }} as indicator
        on indicator_term.indicator_code = indicator.indicator_code
),

signature as (
    select
        term.term,
        {{ text_list('dimension.dimension', ',', 'dimension.ordinal') }} as signature
    from {{ source('declared', 'term') }} as term
    inner join (
        select distinct
            term,
            dimension
        from {{ source('declared', 'term_filter') }}
    ) as filtered on term.term = filtered.term
    inner join {{ source('declared', 'return_dimension') }} as dimension
        on
            term.return_code = dimension.return_code
            and filtered.dimension = dimension.dimension
            and dimension.kind != 'measure'
    group by term.term
),

asked as (
    select
        term.term,
        term.return_code,
        term.kind,
        coalesce(measure.column_name, term.column_name) as column_name,
        term.times_column,
        coalesce(term.shown_column, measure.column_name, term.column_name) as shown_column,
        term.period_relation,
        measure.dimension as measure_dimension,
        measure.member as measure_member,
        coalesce(signature.signature, '') as signature,
        used.is_by_unit
    from {{ source('declared', 'term') }} as term
    inner join used on term.term = used.term
    left join {{ source('declared', 'return_measure') }} as measure
        on term.return_code = measure.return_code and term.column_name = measure.measure
    left join signature on term.term = signature.term
    union all
    -- Is there a row at all? Asked of every return that has rows which are due.
    select
        '' as term,
        return_code,
        'rows' as kind,
        '*' as column_name,
        null as times_column,
        '*' as shown_column,
        null as period_relation,
        null as measure_dimension,
        null as measure_member,
        dimension as signature,
        false as is_by_unit
    from {{ source('declared', 'return_rule') }}
    where rule = 'due'
    union all
    -- Of which kind is a unit, where a standard is set for units of a kind?
    select distinct
        '' as term,
        indicator.anchor_return as return_code,
        'rows' as kind,
        '*' as column_name,
        null as times_column,
        '*' as shown_column,
        null as period_relation,
        null as measure_dimension,
        null as measure_member,
        standards.unit_dimension as signature,
        true as is_by_unit
    from {{ source('policy', 'standards') }} as standards
    inner join {{ source('declared', 'indicator') }} as indicator on standards.indicator_code = indicator.indicator_code
    where standards.level = 'unit' and coalesce(standards.unit_dimension, '') != ''
    union all
    -- Which values of a column that must be the same in two periods are there?
    select distinct
        '' as term,
        split_part(same_column, '.', 1) as return_code,
        'distinct' as kind,
        split_part(same_column, '.', 2) as column_name,
        null as times_column,
        '*' as shown_column,
        null as period_relation,
        null as measure_dimension,
        null as measure_member,
        '' as signature,
        false as is_by_unit
    from {{ source('declared', 'indicator') }}
    where same_column is not null
)

select
    *,
    return_code
    || '.'
    || case when term = '' and kind = 'distinct' then '=' else '' end
    || column_name
    || coalesce('×' || replace(times_column, ',', '×'), '') as atom_column
from asked
