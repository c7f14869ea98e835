-- What a term comes to in a county and period, by caliber: the sum of its atoms, or missing (is_known is false) where
-- a cell or a member is not known, where a cell was answered 并入 across the border of what the term takes, or where a
-- row that must be there is not. `lacking` says why, where there is more to say than that a cell is empty. By unit of
-- the terms that are judged unit by unit. is_absent: what the term counts does not exist there, and nobody says that
-- it must.
with matched as (
    select
        term_atom.term,
        term_atom.variant,
        term_atom.caliber_id,
        term_atom.is_unknown,
        asked.kind,
        atom.return_code,
        atom.signature,
        atom.county_code,
        atom.period,
        atom.unit,
        atom.entity,
        atom.atom,
        atom.contribution,
        atom.lacking_n,
        atom.vintage_from,
        atom.vintage_to,
        atom.source_words
    from {{ ref('int_term_atom') }} as term_atom
    inner join
        {{ ref('int_term') }} as asked
        on term_atom.term = asked.term and term_atom.atom_column = asked.atom_column
    inner join {{ ref('int_atom') }} as atom
        on
            term_atom.atom = atom.atom
            and term_atom.signature = atom.signature
            and asked.is_by_unit = (atom.unit != '')
            and (asked.kind = 'distinct') = (atom.entity != '')
    where atom.moved_to is null
),

summed as (
    select
        term,
        variant,
        caliber_id,
        return_code,
        county_code,
        period,
        unit,
        cast(case when max(kind) = 'distinct' then count(distinct entity) else sum(contribution) end as decimal(38, 4))
            as value,
        cast(sum(lacking_n) as bigint) as lacking_n,
        count(*) filter (where is_unknown) as unknown_n,
        min(vintage_from) as vintage_from,
        max(vintage_to) as vintage_to,
        {{ text_list('distinct source_words', '、', 'source_words') }} as source_words
    from matched
    group by term, variant, caliber_id, return_code, county_code, period, unit
),

-- Every member of some dimensions must be there.
every as (
    select
        term_set.term,
        term_set.variant,
        term_set.caliber_id,
        filing.county_code,
        filing.period,
        case when rule.words != '' then replace(
            rule.words, '#', {{ text_list('term_set.member', '、', 'term_set.member') }}
        ) end as words
    from {{ source('declared', 'return_rule') }} as rule
    inner join {{ source('declared', 'term') }} as term on rule.return_code = term.return_code
    inner join
        {{ ref('int_term_set') }} as term_set
        on term.term = term_set.term and rule.dimension = term_set.dimension
    inner join {{ ref('stg_filing') }} as filing on filing.is_in_force and rule.return_code = filing.return_code
    left join (
        select distinct
            matched.term,
            matched.variant,
            matched.caliber_id,
            matched.county_code,
            matched.period,
            position.dimension,
            split_part(matched.atom, '|', position.place) as member
        from matched
        inner join {{ ref('int_signature') }} as position
            on matched.return_code = position.return_code and matched.signature = position.signature
        inner join {{ source('declared', 'return_rule') }} as asked
            on
                asked.rule = 'every'
                and matched.return_code = asked.return_code
                and position.dimension = asked.dimension
    ) as there
        on
            term_set.term = there.term
            and term_set.variant = there.variant
            and term_set.caliber_id = there.caliber_id
            and term_set.dimension = there.dimension
            and term_set.member = there.member
            and filing.county_code = there.county_code
            and filing.period = there.period
    where rule.rule = 'every' and there.term is null
    group by
        term_set.term,
        term_set.variant,
        term_set.caliber_id,
        filing.county_code,
        filing.period,
        rule.dimension,
        rule.words
),

-- Rows that are due, as far as the term takes them.
due_member as (
    select
        due.return_code,
        due.county_code,
        due.period,
        due.due_key,
        due.member as shown,
        due.level,
        due.is_unreported,
        position.dimension,
        split_part('|' || due.due_key, '|', position.place) as member
    from {{ ref('int_due') }} as due
    inner join {{ ref('int_signature') }} as position
        on due.return_code = position.return_code and due.signature = position.signature
),

due_of_term as (
    select
        term_caliber.term,
        term_caliber.variant,
        term_caliber.caliber_id,
        due.county_code,
        due.period,
        due.shown,
        max(due.level) as level,
        bool_and(due.is_unreported) as is_unreported
    from due_member as due
    inner join {{ source('declared', 'term') }} as term on due.return_code = term.return_code
    inner join
        {{ ref('int_term_set') }} as term_caliber
        on term.term = term_caliber.term and term_caliber.dimension = ''
    left join {{ source('declared', 'term_filter') }} as filtered
        on term.term = filtered.term and due.dimension = filtered.dimension
    left join {{ ref('int_term_set') }} as term_set
        on
            term_caliber.term = term_set.term
            and term_caliber.variant = term_set.variant
            and term_caliber.caliber_id = term_set.caliber_id
            and due.dimension = term_set.dimension
            and due.member = term_set.member
    group by
        term_caliber.term, term_caliber.variant, term_caliber.caliber_id, due.county_code, due.period, due.due_key,
        due.shown
    having bool_and(filtered.term is null or term_set.term is not null or due.member = '')
),

due as (
    select
        due_of_term.term,
        due_of_term.variant,
        due_of_term.caliber_id,
        due_of_term.county_code,
        due_of_term.period,
        replace(
            max(rule.words),
            '#',
            {{ text_list(
                'due_of_term.shown', '、', 'due_of_term.level asc, due_of_term.shown desc', 'due_of_term.is_unreported'
            ) }}
        ) as words
    from (
        select
            term,
            variant,
            caliber_id,
            county_code,
            period,
            shown,
            max(level) as level,
            bool_or(is_unreported) as is_unreported
        from due_of_term
        group by term, variant, caliber_id, county_code, period, shown
    ) as due_of_term
    inner join {{ source('declared', 'term') }} as term on due_of_term.term = term.term
    inner join
        {{ source('declared', 'return_rule') }} as rule
        on term.return_code = rule.return_code and rule.rule = 'due'
    group by
        due_of_term.term, due_of_term.variant, due_of_term.caliber_id, due_of_term.county_code, due_of_term.period
),

-- Columns that a term takes, of a measure those that are in its set; and the columns of the measure that it leaves.
term_column as (
    select
        term_caliber.term,
        term_caliber.variant,
        term_caliber.caliber_id,
        asked.column_name,
        asked.measure_dimension is not null as is_of_measure,
        asked.measure_dimension is null or term_set.term is not null as is_taken
    from {{ ref('int_term') }} as asked
    inner join
        {{ ref('int_term_set') }} as term_caliber
        on asked.term = term_caliber.term and term_caliber.dimension = ''
    left join {{ ref('int_term_set') }} as term_set
        on
            term_caliber.term = term_set.term
            and term_caliber.variant = term_set.variant
            and term_caliber.caliber_id = term_set.caliber_id
            and asked.measure_dimension = term_set.dimension
            and asked.measure_member = term_set.member
    where asked.kind = 'sum'
),

moved_cell as (
    select
        return_code,
        signature,
        county_code,
        period,
        substr(atom_column, length(return_code) + 2) as column_name,
        substr(atom, length(atom_column) + 2) as members,
        moved_to
    from {{ ref('int_atom') }}
    where moved_to is not null
),

moved as (
    select distinct
        taken.term,
        taken.variant,
        taken.caliber_id,
        cell.county_code,
        cell.period,
        coalesce(own_label.label, cell.column_name) || '并入'
        || case cell.moved_to
            when '?' then '（没有写明栏目）' else coalesce(other_label.label, cell.moved_to)
        end as words
    from moved_cell as cell
    inner join (
        select distinct
            term,
            variant,
            caliber_id,
            return_code,
            signature,
            substr(atom, length(atom_column) + 2) as members
        from {{ ref('int_term_atom') }}
    ) as taken
        on cell.return_code = taken.return_code and cell.signature = taken.signature and cell.members = taken.members
    left join term_column as own
        on
            taken.term = own.term
            and taken.variant = own.variant
            and taken.caliber_id = own.caliber_id
            and cell.column_name = own.column_name
    left join term_column as other
        on
            taken.term = other.term
            and taken.variant = other.variant
            and taken.caliber_id = other.caliber_id
            and cell.moved_to = other.column_name
    left join {{ source('declared', 'return_column') }} as own_label
        on cell.return_code = own_label.return_code and cell.column_name = own_label.column_name
    left join {{ source('declared', 'return_column') }} as other_label
        on cell.return_code = other_label.return_code and cell.moved_to = other_label.column_name
    where case
        when cell.moved_to != '?' then coalesce(own.is_taken, false) != coalesce(other.is_taken, false)
        when coalesce(own.is_of_measure, false)
            then exists (
                select 1
                from term_column as sibling
                where
                    sibling.term = own.term
                    and sibling.variant = own.variant
                    and sibling.caliber_id = own.caliber_id
                    and sibling.column_name != own.column_name
                    and sibling.is_taken != own.is_taken
            )
        else false
    end
),

reason as (
    select
        term,
        variant,
        caliber_id,
        county_code,
        period,
        '' as unit,
        1 as place,
        words
    from due
    where words is not null
    union all
    select
        term,
        variant,
        caliber_id,
        county_code,
        period,
        '' as unit,
        2 as place,
        words
    from every
    union all
    select
        term,
        variant,
        caliber_id,
        county_code,
        period,
        '' as unit,
        3 as place,
        words
    from moved
    union all
    select
        summed.term,
        summed.variant,
        summed.caliber_id,
        summed.county_code,
        summed.period,
        summed.unit,
        4 as place,
        replace(rule.words, '#', cast(summed.lacking_n as string)) as words
    from summed
    left join {{ source('declared', 'return_rule') }} as rule
        on summed.return_code = rule.return_code and rule.rule = 'lacking' and summed.lacking_n > 0
    where summed.lacking_n > 0 or summed.unknown_n > 0
),

missing as (
    select
        term,
        variant,
        caliber_id,
        county_code,
        period,
        unit,
        {{ text_list('words', '，', 'place, words') }} as lacking
    from reason
    group by term, variant, caliber_id, county_code, period, unit
),

told as (
    select
        term,
        variant,
        caliber_id,
        county_code,
        period,
        unit
    from summed
    union distinct
    select
        term,
        variant,
        caliber_id,
        county_code,
        period,
        unit
    from missing
)

select
    told.term,
    told.variant,
    told.caliber_id,
    told.county_code,
    told.period,
    told.unit,
    coalesce(summed.value, 0) as value,
    missing.term is null as is_known,
    coalesce(missing.lacking, '') as lacking,
    missing.term is null
    and coalesce(summed.value, 0) = 0
    and (summed.term is null or (rule.rule is not null and due.term is null)) as is_absent,
    summed.vintage_from,
    summed.vintage_to,
    summed.source_words
from told
inner join {{ source('declared', 'term') }} as term on told.term = term.term
left join {{ source('declared', 'return_rule') }} as rule on term.return_code = rule.return_code and rule.rule = 'due'
left join summed
    on
        told.term = summed.term
        and told.variant = summed.variant
        and told.caliber_id = summed.caliber_id
        and told.county_code = summed.county_code
        and told.period = summed.period
        and told.unit = summed.unit
left join missing
    on
        told.term = missing.term
        and told.variant = missing.variant
        and told.caliber_id = missing.caliber_id
        and told.county_code = missing.county_code
        and told.period = missing.period
        and told.unit = missing.unit
left join due
    on
        told.term = due.term
        and told.variant = due.variant
        and told.caliber_id = due.caliber_id
        and told.county_code = due.county_code
        and told.period = due.period
