-- Every cell of a return in force that any figure rests on, once, under the name of its term: where it stands and
-- what it adds. Which rows count is decided by the macros that the county terms select from (contributing_rows.sql).
-- The data test lineage_adds_up holds the sums against the county terms.
{% set ages = [] %}
{% for age in range(3, 18) %}{% do ages.append('age_' ~ age) %}{% endfor %}
{% set enrolment_columns = ['students_total', 'students_female', 'age_2_and_under'] + ages %}
{% set population_columns = ['population_total', 'population_female', 'population_male'] %}
{% set subsidy_columns = ['paid_yuan', 'due_yuan', 'teachers_paid', 'teachers_entitled'] %}
{% set place = ['county_code', 'period', 'submission_id', 'sheet', 'source_row', 'missing_codes'] %}
{% set no_multiplier = 'cast(null as bigint) as multiplier, cast([] as varchar[]) as multiplier_columns' %}
{% set cell_columns = place + ['return_code', 'column_name', 'members', 'row_label', 'value', 'multiplier',
    'multiplier_columns'] %}
with enrolment_cell as (
    select
        {{ place | join(', ') }},
        'enrolment' as return_code,
        unnest({{ enrolment_columns }}) as column_name,
        stage as members,
        school_name as row_label,
        unnest([{{ enrolment_columns | join(', ') }}]) as value,
        {{ no_multiplier }}
    from {{ ref('stg_enrolment') }}
),

population_cell as (
    select
        {{ place | join(', ') }},
        'population' as return_code,
        unnest({{ population_columns }}) as column_name,
        register || '|' || age as members,
        register || ' ' || age || ' 岁' as row_label,
        unnest([{{ population_columns | join(', ') }}]) as value,
        {{ no_multiplier }}
    from {{ ref('stg_population') }}
),

pay_cell as (
    with {{ pay_rows() }}

    {% for side, heads, members, label in (
        ('teacher', 'teachers_average', "stage || '|' || organiser", 'school_name'),
        ('civil_servant', 'civil_servants_average', 'staff_category', 'staff_category'),
    ) %}
        {% set columns = [heads] + pay_components() %}
        select
            {{ place | join(', ') }},
            '{{ side }}_pay' as return_code,
            unnest({{ columns }}) as column_name,
            {{ members }} as members,
            {{ label }} as row_label,
            unnest([{{ columns | join(', ') }}]) as value,
            {{ no_multiplier }}
        from (
            -- A row that several calibers count is one row.
            select *
            from {{ side }}_row
            qualify
                row_number() over (partition by submission_id, sheet, source_row order by caliber_id) = 1
        ) as counted
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

subsidy_cell as (
    with {{ subsidy_rows() }}

    select
        {{ place | join(', ') }},
        'rural_subsidy' as return_code,
        unnest({{ subsidy_columns }}) as column_name,
        programme as members,
        school_name || '（' || tier || '）' as row_label,
        unnest([{{ subsidy_columns | join(', ') }}]) as value,
        {{ no_multiplier }}
    from subsidy
    union all
    select
        {{ place | join(', ') }},
        'rural_subsidy' as return_code,
        unnest(['paid_teacher_months', 'entitled_teacher_months', 'due_by_standard']) as column_name,
        programme as members,
        school_name || '（' || tier || '）' as row_label,
        unnest([teachers_paid, teachers_entitled, standard_yuan_per_month]) as value,
        unnest([months, months, teachers_entitled * months]) as multiplier,
        unnest([['months'], ['months'], ['teachers_entitled', 'months']]) as multiplier_columns
    from subsidy
    union all
    -- Those who are paid at a rural school, and those who teach there by the payroll of the year.
    select
        subsidy.county_code,
        subsidy.period,
        subsidy.submission_id,
        subsidy.sheet,
        subsidy.source_row,
        subsidy.missing_codes,
        'rural_subsidy' as return_code,
        'rural_teachers_paid' as column_name,
        school.caliber_id || '|' || subsidy.programme as members,
        subsidy.school_name || '（' || subsidy.tier || '）' as row_label,
        subsidy.teachers_paid as value,
        {{ no_multiplier }}
    from subsidy
    inner join school
        on
            subsidy.county_code = school.county_code
            and subsidy.school_year = school.period
            and subsidy.school_code = school.school_code
            and (school.closed_on is null or subsidy.period_end < school.closed_on)
    union all
    select
        filing.county_code,
        filing.period,
        payroll.submission_id,
        payroll.sheet,
        payroll.source_row,
        payroll.missing_codes,
        'teacher_pay' as return_code,
        'rural_teachers' as column_name,
        school.caliber_id as members,
        payroll.school_name || '（' || payroll.stage || '）' as row_label,
        payroll.teachers_average as value,
        {{ no_multiplier }}
    from filing
    inner join school
        on
            filing.county_code = school.county_code
            and filing.school_year = school.period
            and (school.closed_on is null or filing.period_end < school.closed_on)
    inner join payroll
        on
            payroll.is_counted
            and school.county_code = payroll.county_code
            and filing.calendar_year = payroll.period
            and school.school_code = payroll.school_code
            and school.caliber_id = payroll.caliber_id
    union all
    -- A school counts once, by the first row in which somebody there was paid.
    select
        subsidy.county_code,
        subsidy.period,
        subsidy.submission_id,
        subsidy.sheet,
        subsidy.source_row,
        subsidy.missing_codes,
        'rural_subsidy' as return_code,
        'schools_covered' as column_name,
        school.caliber_id || '|' || subsidy.programme as members,
        subsidy.school_name || '（' || subsidy.tier || '）' as row_label,
        1 as value,
        {{ no_multiplier }}
    from subsidy
    inner join school
        on
            subsidy.county_code = school.county_code
            and subsidy.school_year = school.period
            and subsidy.school_code = school.school_code
            and (school.closed_on is null or subsidy.period_end < school.closed_on)
    where subsidy.teachers_paid > 0
    qualify
        row_number() over (
            partition by school.caliber_id, subsidy.county_code, subsidy.period, subsidy.programme, subsidy.school_code
            order by subsidy.sheet, subsidy.source_row
        ) = 1
    union all
    select
        filing.county_code,
        filing.period,
        school.submission_id,
        school.sheet,
        school.source_row,
        '{}' as missing_codes,
        'school' as return_code,
        'rural_schools' as column_name,
        school.caliber_id as members,
        school.school_name as row_label,
        1 as value,
        {{ no_multiplier }}
    from filing
    inner join school
        on
            filing.county_code = school.county_code
            and filing.school_year = school.period
            and (school.closed_on is null or filing.period_end < school.closed_on)
),

{% for return_code, declared in plain_returns().items() %}
    {% set columns = plain_columns(declared) %}
    {{ return_code }}_cell as (
        select
            {{ place | join(', ') }},
            '{{ return_code }}' as return_code,
            unnest({{ columns }}) as column_name,
            '' as members,
            {{ declared.row_label }} as row_label,
            unnest([{{ columns | join(', ') }}]) as value,
            {{ no_multiplier }}
        from {{ ref('stg_' ~ return_code) }}
    ),
{% endfor %}

cell as (
    {% for part in ['enrolment', 'population', 'pay', 'subsidy'] + (plain_returns().keys() | list) %}
        select
            return_code || '.' || column_name || '|' || members as term,
            -- The column that is looked at where a row is counted rather than summed.
            case column_name
                when 'paid_teacher_months' then 'teachers_paid'
                when 'entitled_teacher_months' then 'teachers_entitled'
                when 'due_by_standard' then 'standard_yuan_per_month'
                when 'rural_teachers_paid' then 'teachers_paid'
                when 'rural_teachers' then 'teachers_average'
                when 'schools_covered' then 'teachers_paid'
                when 'rural_schools' then 'school_code'
                else column_name
            end as sheet_column,
            {{ cell_columns | join(', ') }}
        from {{ part }}_cell
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

needed as (
    select distinct term
    from {{ ref('mart_lineage_term') }}
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

missing as (
    select
        cell.*,
        case
            when cell.value is null
                then coalesce(json_extract_string(cell.missing_codes, '$.' || cell.sheet_column), 'not_reported')
            when len(cell.multiplier_columns) > 0 and cell.multiplier is null
                then
                    coalesce(
                        json_extract_string(cell.missing_codes, '$.' || cell.multiplier_columns[1]),
                        json_extract_string(cell.missing_codes, '$.' || cell.multiplier_columns[2]),
                        'not_reported'
                    )
        end as landed_code
    from cell
    semi join needed on cell.term = needed.term
)

select
    missing.term,
    missing.county_code,
    missing.period,
    missing.return_code,
    missing.submission_id,
    missing.sheet,
    missing.source_row,
    placed.column_letter || missing.source_row as cell,
    missing.row_label,
    placed.header_label as column_label,
    cast(missing.value as decimal(18, 2)) as value,
    cast(missing.multiplier as integer) as multiplier,
    nullif(
        concat_ws('×', multiplied.column_letter || missing.source_row, again.column_letter || missing.source_row), ''
    ) as multiplier_cell,
    cast(
        missing.value * case when len(missing.multiplier_columns) = 0 then 1 else missing.multiplier end
        as decimal(18, 2)
    ) as contribution,
    {{ code_alone('missing.landed_code') }} as missing_code,
    -- The column that holds what a cell answered 并入 does not.
    holder.header_label as included_in_label
from missing
left join cell_column as placed
    on
        missing.submission_id = placed.submission_id
        and missing.return_code = placed.return_code
        and missing.sheet = placed.sheet
        and missing.source_row between placed.first_row and placed.last_row
        and missing.sheet_column = placed.column_name
left join cell_column as multiplied
    on
        missing.submission_id = multiplied.submission_id
        and missing.return_code = multiplied.return_code
        and missing.sheet = multiplied.sheet
        and missing.source_row between multiplied.first_row and multiplied.last_row
        and missing.multiplier_columns[1] = multiplied.column_name
left join cell_column as again
    on
        missing.submission_id = again.submission_id
        and missing.return_code = again.return_code
        and missing.sheet = again.sheet
        and missing.source_row between again.first_row and again.last_row
        and missing.multiplier_columns[2] = again.column_name
left join cell_column as holder
    on
        missing.submission_id = holder.submission_id
        and missing.return_code = holder.return_code
        and missing.sheet = holder.sheet
        and missing.source_row between holder.first_row and holder.last_row
        and {{ included_in('missing.landed_code') }} = holder.column_name
order by missing.term, missing.county_code, missing.period, missing.sheet, missing.source_row
