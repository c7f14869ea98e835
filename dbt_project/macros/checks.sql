{#
    What the models of rules across filings (models/checks) are written with. Such a model has a row for every cell, or sum
    of cells, that a question is asked of; `is_broken` says the answer. Which rule asks, how grave it is, for which
    periods and in which words stands in the catalogue (expectations/), and so do the tolerances: they are read from
    declared.check_parameter.
#}

{#
    A question asked of the rows of `relation`, which has return_code, county_code, period and submission_id. `is_broken` null:
    it cannot be asked there. `place`: 'row' (sheet and source_row of the relation), 'rows' (a sum: last_sheet and last_row
    too, see rows_summed), none (the filing as a whole). Everything else is an expression, null where it is left out.
#}
{% macro asked(question, relation, is_broken, place=none, condition=none) -%}
    {%- set columns = [
        ('question', 'string'), ('return_code', 'string'), ('county_code', 'string'), ('period', 'string'),
        ('submission_id', 'string'), ('is_broken', 'boolean'),
        ('sheet', 'string'), ('source_row', 'integer'), ('last_sheet', 'string'), ('last_row', 'integer'),
        ('row_label', 'string'), ('subject', 'string'), ('column_name', 'string'), ('column_label', 'string'),
        ('value', 'decimal(38, 4)'), ('expected', 'decimal(38, 4)'), ('value_text', 'string'),
        ('expected_text', 'string'), ('detail', 'string'),
    ] -%}
    {%- set given = dict(kwargs, question=question, is_broken=is_broken) -%}
    {%- for name in ('return_code', 'county_code', 'period', 'submission_id') -%}
        {%- do given.update({name: name}) -%}
    {%- endfor -%}
    {%- if place -%}{%- do given.update(sheet='sheet', source_row='source_row') -%}{%- endif -%}
    {%- if place == 'rows' -%}{%- do given.update(last_sheet='last_sheet', last_row='last_row') -%}{%- endif -%}
    select
    {%- for name, type in columns %}
        cast({{ given.get(name, 'null') }} as {{ type }}) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ relation }}
    {%- if condition %}
    where {{ condition }}
    {%- endif %}
{%- endmacro %}

{# `parameter`: one row with the tolerances of a return's questions, as <question>_<name>; null where there is none. #}
{% macro check_parameters(return_code, names) -%}
parameter as (
    select
    {%- for question, name in names %}
        max(case when question = '{{ question }}' and name = '{{ name }}' then value end)
            as {{ question }}_{{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    from {{ source('declared', 'check_parameter') }}
    where return_code = '{{ return_code }}'
)
{%- endmacro %}

{# The filings of a return that are asked; and its rows with what int_asked_filing says of their period. #}
{% macro asked_filings(return_code) -%}
    select * from {{ ref('int_asked_filing') }} where return_code = '{{ return_code }}'
{%- endmacro %}

{% macro asked_rows(return_code) -%}
    select
        landed.*,
        filing.return_code,
        filing.before_period,
        filing.school_year,
        filing.calendar_year,
        filing.starts_on,
        filing.ends_on,
        filing.hardship_category
    from {{ ref('stg_' ~ return_code) }} as landed
    inner join {{ ref('int_asked_filing') }} as filing
        on
            landed.county_code = filing.county_code
            and landed.period = filing.period
            and filing.return_code = '{{ return_code }}'
{%- endmacro %}

{# Of a group of rows, where it begins and ends; with `adjacent` only where no other rows stand in between. #}
{% macro rows_summed(rows='', adjacent=false) -%}
    {%- set of = rows ~ '.' if rows else '' -%}
    {%- set place = of ~ "sheet || ' ' || lpad(cast(" ~ of ~ "source_row as string), 9, '0')" -%}
    {%- set parts = [
        ('sheet', 'min(' ~ of ~ 'sheet)'), ('source_row', 'min_by(' ~ of ~ 'source_row, ' ~ place ~ ')'),
        ('last_sheet', 'max(' ~ of ~ 'sheet)'), ('last_row', 'max_by(' ~ of ~ 'source_row, ' ~ place ~ ')'),
    ] -%}
    {%- for name, value in parts %}
        {%- if adjacent %}
        case
            when
                min({{ of }}sheet) = max({{ of }}sheet)
                and max({{ of }}source_row) - min({{ of }}source_row) + 1 = count(distinct {{ of }}source_row)
                then {{ value }}
        end as {{ name }}{{ ',' if not loop.last }}
    {%- else %}
            {{ value }} as {{ name }}{{ ',' if not loop.last }}
        {%- endif %}
    {%- endfor %}
{%- endmacro %}

{# A cell as a summand: 0 where it is not applicable or included elsewhere, null where it is missing. #}
{% macro counted(column_name, table_alias='') -%}
    {%- set prefix = table_alias ~ '.' if table_alias else '' -%}
    case when not {{ is_lacking(column_name, table_alias) }} then coalesce({{ prefix }}{{ column_name }}, 0) end
{%- endmacro %}

{# The sum over a group; null (a missing term) when any part of it is. #}
{% macro sum_of_all(expression) -%}
    case when count(*) = count({{ expression }}) then sum({{ expression }}) end
{%- endmacro %}

{# numerator ÷ denominator at so many places, rounded half up; null where the denominator is not above 0. #}
{% macro rounded_quotient(numerator, denominator, places=0) -%}
    cast(
        cast({{ half_up_quotient(
            hundredths(numerator) ~ ' * ' ~ (10 ** places), hundredths(denominator)
        ) }} as decimal(38, 0))
        * {{ '1.0' if places == 0 else '0.' ~ '0' * (places - 1) ~ '1' }} as decimal(38, 4)
    )
{%- endmacro %}

{# Do two figures differ by more than a share and by more than an amount? Null when either is missing. #}
{% macro far_apart(value, expected, share, least) -%}
    (
        abs(cast({{ value }} as decimal(38, 2)) - {{ expected }}) > {{ share }} * cast({{ expected }} as decimal(30, 2))
        and abs(cast({{ value }} as decimal(38, 2)) - {{ expected }}) > {{ least }}
    )
{%- endmacro %}

{# The bound that a figure outside of low to high has crossed. #}
{% macro bound_crossed(value, low, high) -%}
    case when {{ value }} < {{ low }} then {{ low }} else {{ high }} end
{%- endmacro %}

{# `unit_in_doubt`: filings of a return of which a column seems to stand in another unit; other questions of it wait. #}
{% macro units_in_doubt(return_code) -%}
unit_in_doubt as (
    select distinct
        county_code,
        period,
        column_name
    from {{ ref('check_numbers') }}
    where question = 'unit' and is_broken and return_code = '{{ return_code }}'
)
{%- endmacro %}

{# Is the unit of a column of the filing of `row` in no doubt? #}
{% macro unit_is_sure(row, column_name) -%}
    not exists (
        select 1
        from unit_in_doubt
        where
            unit_in_doubt.county_code = {{ row }}.county_code
            and unit_in_doubt.period = {{ row }}.period
            and unit_in_doubt.column_name = '{{ column_name }}'
    )
{%- endmacro %}

{# The members of the default caliber of a kind in a dimension, to stand in `in (...)`. #}
{% macro default_members(caliber_kind, dimension) -%}
    select member.member
    from {{ source('policy', 'caliber_members') }} as member
    inner join {{ source('policy', 'calibers') }} as caliber on member.caliber_id = caliber.caliber_id
    where caliber.is_default and caliber.caliber_kind = '{{ caliber_kind }}' and member.dimension = '{{ dimension }}'
{%- endmacro %}

{# A decimal in a sentence. #}
{% macro in_words(number) -%}
    {{ plain_number('cast(' ~ number ~ ' as decimal(38, 4))') }}
{%- endmacro %}
