{#
    Every cell of a return in force that any figure rests on, once, under the name of its term: where it stands and what it
    adds, of all returns. `cells`: the queries of cells_of.
#}
{% macro lineage_cells(cells) -%}
with needed as (
    select distinct term
    from {{ ref('mart_lineage_term') }}
),

cell as (
    {% for query in cells %}
        select * from ({{ query }}) as of_return
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

latest as (
    select distinct
        submission_id,
        screening_seq
    from {{ ref('stg_filing') }}
),

-- Where each column stands, in the screening that counts.
cell_column as (
    select
        cell_column.submission_id,
        cell_column.return_code,
        cell_column.sheet,
        cell_column.first_row,
        cell_column.last_row,
        cell_column.column_name,
        cell_column.column_letter,
        cell_column.header_label
    from {{ source('landing', 'cell_column') }} as cell_column
    inner join latest
        on
            cell_column.submission_id = latest.submission_id
            and cell_column.screening_seq = latest.screening_seq
),

counted as (
    select cell.*
    from cell
    semi join needed on cell.term = needed.term
)

select
    counted.term,
    counted.county_code,
    counted.period,
    counted.return_code,
    counted.submission_id,
    counted.sheet,
    counted.source_row,
    placed.column_letter || counted.source_row as cell,
    counted.row_label,
    placed.header_label as column_label,
    counted.value,
    counted.multiplier,
    nullif(
        concat_ws('×', multiplied.column_letter || counted.source_row, again.column_letter || counted.source_row), ''
    ) as multiplier_cell,
    counted.contribution,
    {{ code_alone('counted.landed_code') }} as missing_code,
    -- The column that holds what a cell answered 并入 does not.
    holder.header_label as included_in_label
from counted
{% for name, column in (
    ('placed', 'counted.sheet_column'), ('multiplied', 'counted.first_multiplier'), ('again', 'counted.second_multiplier'),
    ('holder', included_in('counted.landed_code')),
) %}
    left join cell_column as {{ name }}
        on
            counted.submission_id = {{ name }}.submission_id
            and counted.return_code = {{ name }}.return_code
            and counted.sheet = {{ name }}.sheet
            and counted.source_row between {{ name }}.first_row and {{ name }}.last_row
            and {{ column }} = {{ name }}.column_name
{% endfor %}
order by counted.term, counted.county_code, counted.period, counted.sheet, counted.source_row
{%- endmacro %}
