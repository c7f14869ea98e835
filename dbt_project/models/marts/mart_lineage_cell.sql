-- Every cell of a return in force that any figure rests on, once, under the name of its term: where it stands and
-- what it adds. Which rows count is decided by the macros that the county terms select from (contributing_rows.sql).
-- The data test lineage_adds_up holds the sums against the county terms.
{% set ages = [] %}
{% for age in range(3, 18) %}{% do ages.append('age_' ~ age) %}{% endfor %}
{% set enrolment_columns = ['students_total', 'students_female', 'age_2_and_under'] + ages %}
{% set population_columns = ['population_total', 'population_female', 'population_male'] %}
{% set subsidy_columns = ['paid_yuan', 'due_yuan', 'teachers_paid', 'teachers_entitled'] %}
{% set place = ['county_code', 'period', 'submission_id', 'sheet', 'source_row', 'missing_codes'] %}
{% set no_multiplier = 'cast(null as bigint) as multiplier, cast(null as varchar) as multiplier_column' %}
{% set cell_columns = place + ['return_code', 'column_name', 'members', 'row_label', 'value', 'multiplier',
    'multiplier_column'] %}
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
        'paid_teacher_months' as column_name,
        programme as members,
        school_name || '（' || tier || '）' as row_label,
        teachers_paid as value,
        months as multiplier,
        'months' as multiplier_column
    from subsidy
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
            when cell.multiplier_column is not null and cell.multiplier is null
                then
                    coalesce(
                        json_extract_string(cell.missing_codes, '$.' || cell.multiplier_column), 'not_reported'
                    )
        end as missing_code
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
    multiplied.column_letter || missing.source_row as multiplier_cell,
    cast(
        missing.value * case when missing.multiplier_column is null then 1 else missing.multiplier end
        as decimal(18, 2)
    ) as contribution,
    missing.missing_code
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
        and missing.multiplier_column = multiplied.column_name
order by missing.term, missing.county_code, missing.period, missing.sheet, missing.source_row
