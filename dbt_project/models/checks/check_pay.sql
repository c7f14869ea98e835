-- XB04、XB05：与上年相比，与补助、学生、公务员相比，与政策相比。
with {{ check_parameters('teacher_pay', [
    ('change_pay_per_head', 'share'), ('change_pay_per_head', 'yuan'),
    ('change_county_pay_per_head', 'share'), ('change_county_pay_per_head', 'yuan'),
    ('subsidies', 'share'), ('subsidies', 'yuan'),
    ('pupils_per_teacher', 'primary_low'), ('pupils_per_teacher', 'primary_high'),
    ('pupils_per_teacher', 'junior_low'), ('pupils_per_teacher', 'junior_high'),
    ('parity', 'low'), ('parity', 'high'),
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

{%- set kept = [
    'return_code', 'county_code', 'period', 'before_period', 'school_year', 'submission_id', 'hardship_category',
    'sheet', 'source_row', 'pay_total_yuan', 'missing_codes',
] %}

-- Both returns; `pay_of`: the school or the category of staff that a row is of.
pay as (
    select
        {% for name in kept + pay_components() %}{{ name }}, {% endfor %}
        teachers_average as heads,
        school_code,
        school_name,
        stage,
        stage as member,
        school_code || '/' || stage as subject,
        school_name || '（' || stage || '）' as row_label
    from ({{ asked_rows('teacher_pay') }}) as teacher
    union all
    select
        {% for name in kept + pay_components() %}{{ name }}, {% endfor %}
        civil_servants_average as heads,
        cast(null as string) as school_code,
        cast(null as string) as school_name,
        cast(null as string) as stage,
        staff_category as member,
        staff_category as subject,
        staff_category as row_label
    from ({{ asked_rows('civil_servant_pay') }}) as civil_servant
),

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
),

-- Whose rows a caliber counts; of a school that stands in no register nobody can say whether it is public.
register_filing as ({{ asked_filings('school') }}),

registered as (
    select
        register_filing.county_code,
        register_filing.period as school_year,
        school.school_code,
        coalesce(
            max(school.organiser) filter (where school.period = register_filing.period), max(school.organiser)
        ) as organiser
    from register_filing
    inner join {{ ref('stg_school') }} as school
        on
            register_filing.county_code = school.county_code
            and school.period in (register_filing.period, register_filing.before_period)
    group by register_filing.county_code, register_filing.period, school.school_code
),

caliber as (
    select
        caliber_id,
        caliber_name,
        is_default
    from {{ ref('calibers') }}
    where caliber_kind = 'pay'
),

counted_row as (
    select
        caliber.caliber_id,
        caliber.caliber_name,
        caliber.is_default,
        pay.*,
        pay.return_code = 'civil_servant_pay' or registered.organiser is not null as is_known
    from pay
    cross join caliber
    inner join {{ ref('caliber_members') }} as counted
        on
            caliber.caliber_id = counted.caliber_id
            and case pay.return_code when 'teacher_pay' then 'teacher_stage' else 'civil_servant_category' end
            = counted.dimension
            and pay.member = counted.member
    left join registered
        on
            pay.county_code = registered.county_code
            and pay.school_year = registered.school_year
            and pay.school_code = registered.school_code
    left join {{ ref('caliber_members') }} as organiser
        on
            caliber.caliber_id = organiser.caliber_id
            and organiser.dimension = 'teacher_organiser'
            and registered.organiser = organiser.member
    where registered.organiser is null or organiser.member is not null
),

-- Components answered 并入, with the one that holds their figure (null: nobody knows which); and whether the figure lies,
-- or may lie, on the other side of a caliber's border.
answer as (
    {%- for column_name in pay_components() %}
    select
        return_code,
        county_code,
        period,
        submission_id,
        sheet,
        source_row,
        '{{ column_name }}' as component,
        {{ loop.index }} as ordinal,
        {{ included_in(json_text('missing_codes', '$.' ~ column_name)) }} as holder
    from pay
    where
        contains(missing_codes, 'included_elsewhere')
        and {{ code_alone(json_text('missing_codes', '$.' ~ column_name)) }} = 'included_elsewhere'
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

crossing as (
    select distinct
        component.caliber_id,
        answer.*
    from answer
    inner join {{ ref('pay_components') }} as component on answer.component = component.component
    inner join {{ ref('pay_components') }} as holder
        on
            component.caliber_id = holder.caliber_id
            and component.is_included != holder.is_included
            and coalesce(answer.holder, holder.component) = holder.component
),

-- A filing is touched by a row that counts; its other rows that say the same are to be mended with it.
touched as (
    select distinct
        crossing.return_code,
        crossing.county_code,
        crossing.period,
        crossing.component,
        crossing.holder,
        counted_row.caliber_name,
        case when counted_row.is_default then '0' else '1' end || counted_row.caliber_id as caliber_order
    from crossing
    inner join counted_row
        on
            crossing.caliber_id = counted_row.caliber_id
            and crossing.return_code = counted_row.return_code
            and crossing.county_code = counted_row.county_code
            and crossing.period = counted_row.period
            and crossing.sheet = counted_row.sheet
            and crossing.source_row = counted_row.source_row
),

touched_caliber as (
    select
        return_code,
        county_code,
        period,
        {{ text_list('caliber_name', '、', 'caliber_order') }} as calibers
    from (
        select distinct
            return_code,
            county_code,
            period,
            caliber_name,
            caliber_order
        from touched
    ) as one
    group by return_code, county_code, period
),

component_label as (
    select
        return_code,
        column_name,
        label,
        ordinal
    from {{ source('declared', 'check_column') }}
    where of_member = ''
),

mixed as (
    select
        answer.return_code,
        answer.county_code,
        answer.period,
        answer.component,
        answer.holder,
        min(answer.ordinal) as ordinal,
        min(holder.ordinal) as holder_ordinal,
        min(
            answer.sheet || ' ' || lpad(cast(answer.source_row as string), 9, '0') || ' ' || answer.component
        ) as place,
        '“' || max(component.label) || '”并入' || coalesce('“' || max(holder.label) || '”', '而没有写明栏目') || '（'
        || cast(count(*) as string) || ' 行）' as words
    from answer
    inner join (
        select distinct
            return_code,
            county_code,
            period,
            component,
            holder
        from touched
    ) as pair
        on
            answer.return_code = pair.return_code
            and answer.county_code = pair.county_code
            and answer.period = pair.period
            and answer.component = pair.component
            and answer.holder is not distinct from pair.holder
    left join component_label as component
        on answer.return_code = component.return_code and answer.component = component.column_name
    left join component_label as holder
        on answer.return_code = holder.return_code and answer.holder = holder.column_name
    group by answer.return_code, answer.county_code, answer.period, answer.component, answer.holder
),

included as (
    select
        filing.return_code,
        filing.county_code,
        filing.period,
        filing.submission_id,
        place.sheet,
        place.source_row,
        place.component,
        mixed_filing.words || '，' || touched_caliber.calibers as words
    from {{ ref('int_asked_filing') }} as filing
    left join (
        select
            return_code,
            county_code,
            period,
            min(place) as place,
            {{ text_list('words', '，', 'ordinal, coalesce(holder_ordinal, 0)') }} as words
        from mixed
        group by return_code, county_code, period
    ) as mixed_filing
        on
            filing.return_code = mixed_filing.return_code
            and filing.county_code = mixed_filing.county_code
            and filing.period = mixed_filing.period
    left join answer as place
        on
            mixed_filing.return_code = place.return_code
            and mixed_filing.county_code = place.county_code
            and mixed_filing.period = place.period
            and mixed_filing.place
            = place.sheet || ' ' || lpad(cast(place.source_row as string), 9, '0') || ' ' || place.component
    left join touched_caliber
        on
            filing.return_code = touched_caliber.return_code
            and filing.county_code = touched_caliber.county_code
            and filing.period = touched_caliber.period
    where filing.return_code in ('teacher_pay', 'civil_servant_pay')
),

-- Comparable pay a head by the default caliber; missing where a row's figures cross its border.
component_in as (
    select
        {%- for column_name in pay_components() %}
        bool_or(component.component = '{{ column_name }}' and component.is_included) as {{ column_name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('pay_components') }} as component
    inner join caliber on component.caliber_id = caliber.caliber_id and caliber.is_default
),

crossing_row as (
    select distinct
        crossing.return_code,
        crossing.county_code,
        crossing.period,
        crossing.sheet,
        crossing.source_row
    from crossing
    inner join caliber on crossing.caliber_id = caliber.caliber_id and caliber.is_default
),

comparable as (
    select
        counted_row.return_code,
        counted_row.county_code,
        counted_row.period,
        counted_row.submission_id,
        counted_row.is_known,
        counted_row.heads,
        case
            when crossing_row.source_row is null
                then
                    {%- for column_name in pay_components() %}
                    case when component_in.{{ column_name }} then {{ counted(column_name, 'counted_row') }} else 0 end{{ ' +' if not loop.last }}
                    {%- endfor %}
        end as yuan
    from counted_row
    cross join component_in
    left join crossing_row
        on
            counted_row.return_code = crossing_row.return_code
            and counted_row.county_code = crossing_row.county_code
            and counted_row.period = crossing_row.period
            and counted_row.sheet = crossing_row.sheet
            and counted_row.source_row = crossing_row.source_row
    where counted_row.is_default
),

average as (
    select
        return_code,
        county_code,
        period,
        submission_id,
        {{ rounded_quotient(sum_of_all('yuan'), sum_of_all('heads')) }} as yuan
    from comparable
    group by return_code, county_code, period, submission_id
    having bool_and(is_known)
),

parity as (
    select
        teacher.*,
        parameter.parity_low as low,
        parameter.parity_high as high,
        {{ rounded_quotient('teacher.yuan', 'civil_servant.yuan', 2) }} as value,
        '教师人均 ' || {{ in_words('teacher.yuan') }} || ' 元，公务员人均 ' || {{ in_words('civil_servant.yuan') }}
        || ' 元' as words
    from average as teacher
    cross join parameter
    inner join average as civil_servant
        on
            teacher.county_code = civil_servant.county_code
            and teacher.period = civil_servant.period
            and civil_servant.return_code = 'civil_servant_pay'
    where teacher.return_code = 'teacher_pay'
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
{{ asked("'pupils_per_teacher'", 'staffing', 'value not between low and high', subject='stage', value='value',
    expected=bound_crossed('value', 'low', 'high'), detail='words') }}
union all
{{ asked("'included_elsewhere'", 'included', 'words is not null', place='row', subject="''", column_name='component',
    detail='words') }}
union all
{{ asked("'parity'", 'parity', 'value not between low and high', subject="''", value='value',
    expected=bound_crossed('value', 'low', 'high'), detail='words') }}
