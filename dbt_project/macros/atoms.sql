{#
    The rows of a return as the terms of indicators count them, and their sums. What is asked (columns, dimensions) is read
    from the declarations when a model runs, so that an indicator is added without a new model and without a parse.

    An atom is what cells have in common: `return.column|member|member`, members in the return's order of dimensions. A
    member is '' where nobody can say it (its term is then missing), '-' where the row has none and does not count.
#}

{# The rows of a query as a list of mappings; none while nothing is run (parsing, an offline compile). #}
{% macro rows_of(sql) -%}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for row in run_query(sql) -%}{%- do found.append(row.dict()) -%}{%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{# What the declarations ask of a return: `terms` (rows of int_term), `dimensions`, `references`, `rules`, `columns`. #}
{% macro asked_of(return_code) -%}
    {%- set of_return = " where return_code = '" ~ return_code ~ "'" -%}
    {{ return({
        'terms': rows_of(
            'select distinct kind, column_name, times_column, shown_column, signature, is_by_unit, atom_column, term = \'\' as is_presence from '
            ~ ref('int_term') ~ of_return ~ ' order by all'
        ),
        'dimensions': rows_of(
            'select * from ' ~ source('declared', 'return_dimension') ~ of_return ~ " and kind != 'measure' order by ordinal"
        ),
        'references': rows_of('select * from ' ~ source('declared', 'return_reference') ~ of_return ~ ' order by all'),
        'rules': rows_of('select * from ' ~ source('declared', 'return_rule') ~ of_return ~ ' order by all'),
        'columns': rows_of('select * from ' ~ source('declared', 'return_column') ~ of_return ~ ' order by all'),
        'parts': rows_of(
            'select distinct part.column_name as part_column, whole.column_name as whole_column from '
            ~ source('declared', 'indicator_term') ~ ' as minus inner join ' ~ source('declared', 'indicator_term')
            ~ ' as plus on minus.indicator_code = plus.indicator_code and minus.role = plus.role and minus.sign < 0 and plus.sign > 0'
            ~ ' inner join ' ~ ref('int_term') ~ ' as part on minus.term = part.term inner join ' ~ ref('int_term')
            ~ " as whole on plus.term = whole.term and part.return_code = whole.return_code where part.kind = 'sum' and "
            ~ "whole.kind = 'sum' and part.return_code = '" ~ return_code ~ "' order by all"
        ),
    }) }}
{%- endmacro %}

{% macro rule_value(asked, rule) -%}
    {%- set found = asked.rules | selectattr('rule', 'equalto', rule) | map(attribute='value') | list -%}
    {{ return(found[0] if found else none) }}
{%- endmacro %}

{% macro has_rule(asked, rule) -%}
    {{ return((asked.rules | selectattr('rule', 'equalto', rule) | list | length) > 0) }}
{%- endmacro %}

{# Names the models that the rows rest on whatever the declarations ask, so that they are built before. #}
{% macro needed_by_rows(references) -%}
    {%- set needed = [ref('int_source'), ref('stg_expected_filing'), ref('stg_filing')] -%}
    {%- for reference in references -%}{%- do needed.append(ref('stg_' ~ reference)) -%}{%- endfor -%}
{%- endmacro %}

{#
    Relation `counted`: the rows of a return in force with the member of each asked dimension (`d_<dimension>`), for the
    period by which they are asked: of a register that is the asking part's, and the rows are those that exist on its
    reference day.
#}
{% macro counted_rows(return_code, rows, references, asked) -%}
    {%- set until = rule_value(asked, 'exists') -%}
    {%- set used = [] -%}
    {%- for term in asked.terms -%}{%- do used.extend(term.signature.split(',')) -%}{%- endfor -%}
    {%- set dimensions = asked.dimensions | selectattr('dimension', 'in', used) | list -%}
    {%- set used_references = dimensions | selectattr('kind', 'equalto', 'reference') | map(attribute='reference') | unique | list -%}
    {%- set joined = asked.references | selectattr('reference', 'in', used_references) | list -%}
    {%- set tests = dimensions | selectattr('kind', 'equalto', 'test') | list -%}
    {%- set computed = asked.columns | selectattr('expression') | list -%}
    {#- Conditions and computed columns are of the row alone: they are written before anything is joined to it. #}
    landed as (
        select
            {%- for dimension in tests %}
                case
                    when {{ dimension.expression }} then '是'
                    when {{ lacks_any(dimension.operands.split(','), 'landed_row') }} then ''
                    else '否'
                end as d_{{ dimension.dimension }},
            {%- endfor %}
            {%- for column in computed %}
                {{ column.expression }} as {{ column.column_name }},
            {%- endfor %}
            landed_row.*
        from {{ rows }} as landed_row
    ),
    {%- if until %}
    asking as (
        select distinct
            county_code,
            part_period,
            source_period,
            reference_on
        from {{ ref('int_source') }}
        where return_code = '{{ return_code }}' and is_register_of_the_county
    ),
    {%- endif %}
    counted as (
        select
            {{ 'asking.part_period' if until else 'landed.period' }} as asked_period,
            {%- for dimension in dimensions %}
                {%- if dimension.kind == 'reference' %}
                    {%- set reference = joined | selectattr('reference', 'equalto', dimension.reference) | first %}
                    coalesce(
                        {%- for link in reference.periods.split(',') %}
                            {{ reference.reference }}_{{ loop.index }}.{{ dimension.expression }},
                        {%- endfor %}
                        {%- if reference.unmatched == 'not_counted' %}
                            case when {{ reference.reference }}_filing.submission_id is not null then '-' end,
                        {%- endif %}
                        ''
                    ) as d_{{ dimension.dimension }},
                {%- elif dimension.kind == 'column' %}
                    coalesce(cast(landed.{{ dimension.expression }} as string), '') as d_{{ dimension.dimension }},
                {%- endif %}
            {%- endfor %}
            landed.*
        from landed
        {%- if until %}
            inner join asking
                on
                    landed.county_code = asking.county_code
                    and landed.period = asking.source_period
                    and (landed.{{ until }} is null or landed.{{ until }} > asking.reference_on)
        {%- endif %}
        {%- if joined %}
            inner join {{ ref('stg_expected_filing') }} as expected
                on
                    expected.return_code = '{{ return_code }}'
                    and landed.county_code = expected.county_code
                    and landed.period = expected.period
        {%- endif %}
        {%- for reference in joined %}
            {%- for link in reference.periods.split(',') %}
                {%- set name = reference.reference ~ '_' ~ loop.index %}
                {%- set period_of = {
                    'school_year_starting': 'left(' ~ name ~ '.period, 4) = expected.calendar_year',
                    'school_year_ending': 'right(' ~ name ~ '.period, 4) = expected.calendar_year',
                    'school_year': name ~ '.period = expected.school_year',
                    'calendar_year': name ~ '.period = expected.calendar_year',
                    'same': name ~ '.period = expected.period',
                } %}
                left join {{ ref('stg_' ~ reference.reference) }} as {{ name }}
                    on
                        landed.county_code = {{ name }}.county_code
                        and landed.{{ reference.key_column }} = {{ name }}.{{ reference.key_column }}
                        and {{ period_of[link] }}
                        {%- if reference.is_open %}
                            and expected.is_register_of_the_county
                            and ({{ name }}.closed_on is null or {{ name }}.closed_on > expected.reference_on)
                        {%- endif %}
            {%- endfor %}
            {%- if reference.unmatched == 'not_counted' %}
                left join {{ ref('stg_filing') }} as {{ reference.reference }}_filing
                    on
                        {{ reference.reference }}_filing.is_in_force
                        and {{ reference.reference }}_filing.return_code = '{{ reference.reference }}'
                        and landed.county_code = {{ reference.reference }}_filing.county_code
                        and expected.is_register_of_the_county
                        and expected.school_year = {{ reference.reference }}_filing.period
            {%- endif %}
        {%- endfor %}
    )
{%- endmacro %}

{# The members of a row by a signature, as they stand in the name of an atom. #}
{% macro members_of(signature) -%}
    {%- if signature -%}
        concat_ws('|'{% for dimension in signature.split(',') %}, d_{{ dimension }}{% endfor %})
    {%- else -%}
        ''
    {%- endif -%}
{%- endmacro %}

{# What a term adds for a row: the column, times others, times the weight that a model gives the row. #}
{% macro contribution_of(term, has_weight) -%}
    {%- if term.kind != 'sum' -%}
        1
    {%- else -%}
        cast({{ term.column_name }} as decimal(38, 4))
        {%- for other in (term.times_column or '').split(',') if other %} * {{ other }}{% endfor %}
        {%- if has_weight %} * weight{% endif %}
    {%- endif -%}
{%- endmacro %}

{# Is one of the cells lacking? #}
{% macro lacks_any(columns, table_alias='') -%}
    ({% for column in columns %}{{ is_lacking(column, table_alias) }}{{ ' or ' if not loop.last }}{% endfor %})
{%- endmacro %}

{# The cells that a column is read from: itself, or what a computed one is computed of. #}
{% macro operands_of(column_name, asked) -%}
    {%- set found = asked.columns | selectattr('column_name', 'equalto', column_name) | selectattr('expression') | list -%}
    {{ return(found[0].operands.split(',') if found else [column_name]) }}
{%- endmacro %}

{# Does a row lack what the term sums? A part that is larger than its whole is no number of anything. #}
{% macro lacks(term, asked) -%}
    {%- if term.kind != 'sum' -%}
        false
    {%- else -%}
        {{ lacks_any(operands_of(term.column_name, asked)) }}
        {%- for other in (term.times_column or '').split(',') if other %}
            or {{ lacks_any(operands_of(other, asked)) }}
        {%- endfor %}
        {%- for pair in asked.parts if pair.part_column == term.column_name %}
            or coalesce({{ pair.part_column }} > {{ pair.whole_column }}, false)
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}

{#
    The sums of a return by atom, county, period of the asking part, unit (terms that are judged unit by unit) and entity
    (terms that count each key once). lacking_n: rows without the number that the sum needs. moved_to: a row instead that
    says that some cells of the atom were answered 并入 and into which column ('?' where none is named).
#}
{% macro atoms_of(return_code, rows, references=[]) -%}
    {%- set asked = asked_of(return_code) -%}
    {%- do needed_by_rows(references) -%}
    {%- if not asked.terms %}
    select
        cast(null as string) as return_code, cast(null as string) as atom_column, cast(null as string) as signature,
        cast(null as string) as atom, cast(null as string) as county_code, cast(null as string) as period,
        cast(null as string) as unit, cast(null as string) as entity, cast(null as string) as moved_to,
        cast(null as decimal(38, 4)) as contribution, cast(null as bigint) as lacking_n, cast(null as bigint) as cells_n,
        cast(null as date) as vintage_from, cast(null as date) as vintage_to, cast(null as string) as source_words
    where false
    {%- else %}
    {%- set has_weight = has_rule(asked, 'weight') -%}
    {%- set unit = rule_value(asked, 'unit') -%}
    {%- set vintage = rule_value(asked, 'vintage') -%}
    {%- set source = rule_value(asked, 'source') -%}
    {%- set groups = {} -%}
    {%- for term in asked.terms -%}
        {%- set entity = term.column_name if term.kind == 'distinct' else '' -%}
        {%- set key = term.signature ~ '/' ~ term.is_by_unit ~ '/' ~ entity -%}
        {%- if key not in groups -%}{%- do groups.update({key: []}) -%}{%- endif -%}
        {%- if term.atom_column not in (groups[key] | map(attribute='atom_column') | list) -%}
            {%- do groups[key].append(term) -%}
        {%- endif -%}
    {%- endfor %}
    with {{ counted_rows(return_code, rows, references, asked) }}
    {%- for key, terms in groups.items() %},

    group_{{ loop.index }} as (
        select
            {{ members_of(terms[0].signature) }} as members,
            county_code,
            asked_period as period,
            {{ 'cast(' ~ unit ~ ' as string)' if terms[0].is_by_unit else "''" }} as unit,
            {{ 'cast(' ~ terms[0].column_name ~ ' as string)' if terms[0].kind == 'distinct' else "''" }} as entity,
            count(*) as cells_n,
            {%- for term in terms %}
                cast(sum({{ contribution_of(term, has_weight) if term.kind != 'distinct' else '1' }}) as decimal(38, 4)) as c_{{ loop.index }},
                count(*) filter (where {{ lacks(term, asked) }}) as l_{{ loop.index }},
            {%- endfor %}
            {{ 'min(' ~ vintage ~ ')' if vintage else 'cast(null as date)' }} as vintage_from,
            {{ 'max(' ~ vintage ~ ')' if vintage else 'cast(null as date)' }} as vintage_to,
            {{ text_list('distinct left(trim(' ~ source ~ '), 60)', '、', 'left(trim(' ~ source ~ '), 60)') if source else 'cast(null as string)' }} as source_words
        from counted
        group by all
    )
    {%- endfor %}
    {%- for key, terms in groups.items() %}
    {%- set group = loop.index %}
    {{ 'union all' if not loop.first }}
    select
        '{{ return_code }}' as return_code,
        asked.atom_column,
        '{{ terms[0].signature }}' as signature,
        asked.atom_column || '|' || members as atom,
        county_code,
        period,
        unit,
        entity,
        cast(null as string) as moved_to,
        case asked.place {% for term in terms %}when {{ loop.index }} then {{ '1' if term.kind == 'distinct' else 'c_' ~ loop.index }} {% endfor %}end as contribution,
        case asked.place {% for term in terms %}when {{ loop.index }} then l_{{ loop.index }} {% endfor %}end as lacking_n,
        cells_n,
        vintage_from,
        vintage_to,
        source_words
    from group_{{ group }}
    cross join (
        values {% for term in terms %}({{ loop.index }}, '{{ term.atom_column }}'){{ ', ' if not loop.last }}{% endfor %}
    ) as asked (place, atom_column)
    {%- endfor %}
    {%- set summed = [] %}
    {%- for term in asked.terms if term.kind == 'sum' and not term.is_by_unit and term.signature not in summed %}
        {%- do summed.append(term.signature) %}
    {%- endfor %}
    {%- set columns = asked.columns | rejectattr('expression') | map(attribute='column_name') | list %}
    {%- for term in asked.terms if term.kind == 'sum' and term.column_name not in columns %}{%- do columns.append(term.column_name) %}{%- endfor %}
    {%- for signature in summed %}
    union all
    select distinct
        '{{ return_code }}' as return_code,
        '{{ return_code }}.' || moved.column_name as atom_column,
        '{{ signature }}' as signature,
        '{{ return_code }}.' || moved.column_name || '|' || {{ members_of(signature) }} as atom,
        counted.county_code,
        counted.asked_period as period,
        '' as unit,
        '' as entity,
        coalesce({{ included_in(json_text('counted.missing_codes', "'$.' || moved.column_name")) }}, '?') as moved_to,
        cast(0 as decimal(38, 4)) as contribution,
        0 as lacking_n,
        0 as cells_n,
        cast(null as date) as vintage_from,
        cast(null as date) as vintage_to,
        cast(null as string) as source_words
    from counted
    cross join (values {% for column in columns %}('{{ column }}'){{ ', ' if not loop.last }}{% endfor %}) as moved (column_name)
    where
        counted.missing_codes like '%included_elsewhere%'
        and {{ code_alone(json_text('counted.missing_codes', "'$.' || moved.column_name")) }} = 'included_elsewhere'
    {%- endfor %}
    {%- endif %}
{%- endmacro %}

{#
    The cells of a return behind the atoms of figures, as a query: the same rows, members and contributions as atoms_of. `row_label`:
    an expression over the return's row.
#}
{% macro cells_of(return_code, rows, row_label, references=[]) -%}
    {%- do needed_by_rows(references) -%}
    {%- set asked = asked_of(return_code) -%}
    {%- set has_weight = has_rule(asked, 'weight') -%}
    {%- set source_return = rule_value(asked, 'based_on') or return_code -%}
    {%- set groups = {} -%}
    {%- for term in asked.terms if not term.is_presence -%}
        {%- set key = term.signature ~ '/' ~ (term.atom_column if term.kind != 'sum' or term.times_column else '') -%}
        {%- if key not in groups -%}{%- do groups.update({key: []}) -%}{%- endif -%}
        {%- if term.atom_column not in (groups[key] | map(attribute='atom_column') | list) -%}
            {%- do groups[key].append(term) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set place = 'county_code, asked_period, submission_id, sheet, source_row, missing_codes, row_label' -%}
    {%- if not groups %}
    select
        cast(null as string) as term, cast(null as string) as county_code, cast(null as string) as period,
        cast(null as string) as return_code, cast(null as string) as submission_id, cast(null as string) as sheet,
        cast(null as integer) as source_row, cast(null as string) as row_label, cast(null as string) as sheet_column,
        cast(null as decimal(18, 2)) as value, cast(null as integer) as multiplier,
        cast(null as string) as first_multiplier, cast(null as string) as second_multiplier,
        cast(null as decimal(18, 4)) as contribution, cast(null as string) as landed_code
    where false
    {%- else %}
    with {{ counted_rows(return_code, rows, references, asked) }},

    placed as (
        select
            *,
            {{ row_label }} as shown_label
        from counted
        where submission_id is not null
    )
    {%- for key, terms in groups.items() %}
    {%- set term = terms[0] %}
    {%- set others = (term.times_column or '').split(',') | select | list %}
    {{ 'union all' if not loop.first }}
    select
        {%- if term.kind == 'sum' and not others %}
        '{{ return_code }}.' || column_name || '|' || members as term,
        {%- else %}
        '{{ term.atom_column }}|' || members as term,
        {%- endif %}
        county_code,
        asked_period as period,
        '{{ source_return }}' as return_code,
        submission_id,
        sheet,
        source_row,
        shown_label as row_label,
        {{ 'column_name' if term.kind == 'sum' and not others else "'" ~ term.shown_column ~ "'" }} as sheet_column,
        cast(value as decimal(18, 2)) as value,
        {{ 'cast(multiplier as integer)' if others else 'cast(null as integer)' }} as multiplier,
        {{ "'" ~ others[0] ~ "'" if others else 'cast(null as string)' }} as first_multiplier,
        {{ "'" ~ others[1] ~ "'" if others | length > 1 else 'cast(null as string)' }} as second_multiplier,
        cast(value{{ ' * multiplier' if others }}{{ ' * weight' if has_weight }} as decimal(18, 4)) as contribution,
        case
            when value is null
                then coalesce({{ json_text('missing_codes', "'$.' || " ~ ('column_name' if term.kind == 'sum' and not others else "'" ~ term.column_name ~ "'")) }}, 'not_reported')
            {%- if others %}
            when multiplier is null
                then coalesce(
                    {% for other in others %}{{ json_text('missing_codes', "'$." ~ other ~ "'") }}, {% endfor %}'not_reported'
                )
            {%- endif %}
        end as landed_code
    from
        {%- if term.kind == 'sum' and not others %}
        (
            select
                {{ members_of(term.signature) }} as members,
                county_code,
                asked_period,
                submission_id,
                sheet,
                source_row,
                missing_codes,
                shown_label,
                {{ 'weight,' if has_weight }}
                {%- for one in terms %}
                cast({{ one.column_name }} as decimal(18, 2)) as {{ one.column_name }}{{ ',' if not loop.last }}
                {%- endfor %}
            from placed
        ) as wide
        unpivot include nulls (value for column_name in ({{ terms | map(attribute='column_name') | join(', ') }}))
        {%- else %}
        (
            select
                {{ members_of(term.signature) }} as members,
                county_code,
                asked_period,
                submission_id,
                sheet,
                source_row,
                missing_codes,
                shown_label,
                {{ 'weight,' if has_weight }}
                {{ term.column_name if term.kind == 'sum' else '1' }} as value,
                {{ others | join(' * ') if others else '1' }} as multiplier
            from placed
            {%- if term.kind == 'distinct' %}
            -- A key counts once, by its first row.
            qualify row_number() over (
                partition by {{ members_of(term.signature) }}, county_code, asked_period, {{ term.column_name }}
                order by sheet, source_row
            ) = 1
            {%- endif %}
        ) as narrow
        {%- endif %}
    {%- endfor %}
    {%- endif %}
{%- endmacro %}
