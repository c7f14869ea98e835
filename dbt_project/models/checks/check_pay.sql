-- XB04、XB05：与上年相比，与补助、学生、公务员相比，与政策相比。
with {{ check_parameters('teacher_pay', [
    ('change_pay_per_head', 'share'), ('change_pay_per_head', 'yuan'),
    ('change_county_pay_per_head', 'share'), ('change_county_pay_per_head', 'yuan'),
    ('subsidies', 'share'), ('subsidies', 'yuan'),
    ('pupils_per_teacher', 'primary_low'), ('pupils_per_teacher', 'primary_high'),
    ('pupils_per_teacher', 'junior_low'), ('pupils_per_teacher', 'junior_high'),
    ('school_staffing', 'most'), ('school_staffing', 'persons'),
]) }},

civil_servant_{{ check_parameters('civil_servant_pay', [
    ('change_pay_per_head', 'share'), ('change_pay_per_head', 'yuan'),
]) }},

unit_in_doubt as (
    select distinct
        return_code,
        county_code,
        period
    from {{ ref('check_numbers') }}
    where question = 'unit' and is_broken and column_name = 'pay_total_yuan'
),

pay as (select * from {{ ref('int_asked_pay') }}),

per_head as (
    select
        return_code,
        county_code,
        period,
        before_period,
        submission_id,
        sheet,
        source_row,
        subject,
        row_label,
        {{ rounded_quotient('pay_total_yuan', 'heads') }} as yuan
    from pay
),

changed as (
    select
        per_head.*,
        earlier.yuan as yuan_before,
        {{ far_apart(
            'per_head.yuan', 'earlier.yuan',
            "case per_head.return_code when 'teacher_pay' then parameter.change_pay_per_head_share "
            ~ "else civil_servant_parameter.change_pay_per_head_share end",
            "case per_head.return_code when 'teacher_pay' then parameter.change_pay_per_head_yuan "
            ~ "else civil_servant_parameter.change_pay_per_head_yuan end"
        ) }} as is_far
    from per_head
    cross join parameter
    cross join civil_servant_parameter
    inner join per_head as earlier
        on
            per_head.return_code = earlier.return_code
            and per_head.county_code = earlier.county_code
            and per_head.before_period = earlier.period
            and per_head.subject = earlier.subject
    left join unit_in_doubt
        on
            per_head.return_code = unit_in_doubt.return_code
            and per_head.county_code = unit_in_doubt.county_code
            and per_head.period = unit_in_doubt.period
    where unit_in_doubt.period is null
),

county_per_head as (
    select
        return_code,
        county_code,
        period,
        before_period,
        submission_id,
        {{ rounded_quotient(sum_of_all('pay_total_yuan'), sum_of_all('heads')) }} as yuan,
        {{ rounded_quotient(sum_of_all('heads'), '1') }} as heads
    from pay
    where return_code = 'teacher_pay'
    group by return_code, county_code, period, before_period, submission_id
),

county_changed as (
    select
        county_per_head.*,
        earlier.yuan as yuan_before,
        {{ in_words('county_per_head.heads') }} || ' 人' as words,
        {{ far_apart(
            'county_per_head.yuan', 'earlier.yuan', 'parameter.change_county_pay_per_head_share',
            'parameter.change_county_pay_per_head_yuan'
        ) }} as is_far
    from county_per_head
    cross join parameter
    inner join county_per_head as earlier
        on county_per_head.county_code = earlier.county_code and county_per_head.before_period = earlier.period
    left join unit_in_doubt
        on
            county_per_head.return_code = unit_in_doubt.return_code
            and county_per_head.county_code = unit_in_doubt.county_code
            and county_per_head.period = unit_in_doubt.period
    where unit_in_doubt.period is null
),

{%- set allowances = [
    ('rural_living_allowance_yuan', '乡村教师生活补助'), ('township_allowance_yuan', '乡镇工作补贴'),
    ('hardship_allowance_yuan', '艰苦边远地区津贴'),
] %}

-- Allowances as far as the cell's figure is that of its column alone: neither included elsewhere, nor with another's
-- figure (perhaps) in it. What is included elsewhere is asked about once, by the return, and not of every school.
allowance as (
    {%- for column_name, programme in allowances %}
        select
            return_code,
            county_code,
            period,
            submission_id,
            hardship_category,
            sheet,
            source_row,
            school_code,
            school_name,
            subject,
            row_label,
            '{{ column_name }}' as column_name,
            '{{ programme }}' as programme,
            case
                when
                    not contains(missing_codes, '"{{ column_name }}":"included_elsewhere')
                    and not contains(missing_codes, '"included_elsewhere:{{ column_name }}"')
                    and not contains(missing_codes, '"included_elsewhere"')
                    then {{ counted(column_name) }}
            end as yuan
        from pay
        {{ 'union all' if not loop.last }}
    {%- endfor %}
),

hardship as (
    select
        *,
        case when hardship_category = '无' then yuan != 0 when hardship_category is not null then false end as is_paid
    from allowance
    where column_name = 'hardship_allowance_yuan'
),

-- What the subsidy returns of a whole year say was paid to a school.
whole_year as (
    select
        county_code,
        calendar_year
    from {{ ref('int_asked_filing') }}
    where return_code = 'rural_subsidy'
    group by county_code, calendar_year
    having sum(months_n) = 12
),

paid as (
    select
        subsidy.county_code,
        subsidy.calendar_year,
        subsidy.school_code,
        subsidy.programme,
        {{ sum_of_all('subsidy.paid_yuan') }} as yuan
    from ({{ asked_rows('rural_subsidy') }}) as subsidy
    inner join whole_year
        on subsidy.county_code = whole_year.county_code and subsidy.calendar_year = whole_year.calendar_year
    group by subsidy.county_code, subsidy.calendar_year, subsidy.school_code, subsidy.programme
),

school_allowance as (
    select
        allowance.return_code,
        allowance.county_code,
        allowance.period,
        allowance.submission_id,
        allowance.school_code,
        allowance.column_name,
        allowance.programme,
        min_by(allowance.school_name, allowance.source_row) as school_name,
        min_by(allowance.subject, allowance.source_row) as subject,
        {{ sum_of_all('allowance.yuan') }} as yuan,
        {{ rows_summed('allowance', adjacent=true) }}
    from allowance
    where allowance.return_code = 'teacher_pay'
    group by
        allowance.return_code,
        allowance.county_code,
        allowance.period,
        allowance.submission_id,
        allowance.school_code,
        allowance.column_name,
        allowance.programme
),

subsidies as (
    select
        school_allowance.*,
        paid.yuan as paid_yuan,
        {{ far_apart(
            'school_allowance.yuan', 'paid.yuan', 'parameter.subsidies_share', 'parameter.subsidies_yuan'
        ) }} as is_far
    from school_allowance
    cross join parameter
    inner join paid
        on
            school_allowance.county_code = paid.county_code
            and school_allowance.period = paid.calendar_year
            and school_allowance.school_code = paid.school_code
            and school_allowance.programme = paid.programme
),

-- Pupils of the school year that starts in the year over teachers on the payroll.
pupil as (
    select
        county_code,
        period as school_year,
        stage,
        {{ sum_or_missing('students_total') }} as pupils
    from {{ ref('stg_enrolment') }}
    where stage in ('小学', '初中')
    group by county_code, period, stage
),

-- A school and stage with pupils, and next to nobody on its payroll.
school_staffing as (
    select
        pay.return_code,
        pay.county_code,
        pay.period,
        pay.submission_id,
        pay.sheet,
        pay.source_row,
        pay.subject,
        pay.row_label,
        pay.heads,
        '学生 ' || cast(enrolment.students_total as string) || ' 人，教师 ' || {{ in_words('pay.heads') }} || ' 人' as words,
        enrolment.students_total >= parameter.school_staffing_persons
        and enrolment.students_total > pay.heads * parameter.school_staffing_most as is_without
    from pay
    cross join parameter
    inner join {{ ref('stg_enrolment') }} as enrolment
        on
            pay.county_code = enrolment.county_code
            and pay.school_year = enrolment.period
            and pay.school_code = enrolment.school_code
            and pay.stage = enrolment.stage
),

stage_heads as (
    select
        return_code,
        county_code,
        period,
        school_year,
        submission_id,
        stage,
        {{ sum_of_all('heads') }} as heads
    from pay
    where stage in ('小学', '初中')
    group by return_code, county_code, period, school_year, submission_id, stage
),

staffing as (
    select
        stage_heads.*,
        {{ rounded_quotient('pupil.pupils', 'stage_heads.heads', 1) }} as value,
        case stage_heads.stage
            when '小学' then parameter.pupils_per_teacher_primary_low else parameter.pupils_per_teacher_junior_low
        end as low,
        case stage_heads.stage
            when '小学' then parameter.pupils_per_teacher_primary_high else parameter.pupils_per_teacher_junior_high
        end as high,
        stage_heads.stage || '学生 ' || cast(pupil.pupils as string) || ' 人，教师 '
        || {{ in_words(rounded_quotient('stage_heads.heads', '1')) }} || ' 人' as words
    from stage_heads
    cross join parameter
    inner join pupil
        on
            stage_heads.county_code = pupil.county_code
            and stage_heads.school_year = pupil.school_year
            and stage_heads.stage = pupil.stage
)

{{ asked("'change_pay_per_head'", 'changed', 'is_far', place='row', row_label='row_label', subject='subject',
    column_name="'pay_total_yuan'", value='yuan', expected='yuan_before') }}
union all
{{ asked("'change_county_pay_per_head'", 'county_changed', 'is_far', subject="''", value='yuan',
    expected='yuan_before', detail='words') }}
union all
{{ asked(
    "'hardship_category'", 'hardship', 'is_paid', place='row', row_label='row_label', subject='subject',
    column_name='column_name', value='yuan', expected="case when hardship_category = '无' then 0 end"
) }}
union all
{{ asked("'subsidies'", 'subsidies', 'is_far', place='rows', row_label='school_name', subject='subject',
    column_name='column_name', value='yuan', expected='paid_yuan', detail='programme') }}
union all
{{ asked("'school_staffing'", 'school_staffing', 'is_without', place='row', row_label='row_label', subject='subject',
    column_name="'teachers_average'", value='heads', detail='words') }}
union all
{{ asked("'pupils_per_teacher'", 'staffing', 'value not between low and high', subject='stage', value='value',
    expected=bound_crossed('value', 'low', 'high'), detail='words') }}
