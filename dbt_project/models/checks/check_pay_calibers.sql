-- XB04、XB05：按工资口径，并入其他栏目的金额能否分开；教师与公务员的工资比是否合理。
with {{ check_parameters('teacher_pay', [('parity', 'low'), ('parity', 'high')]) }},

pay as (select * from {{ ref('int_asked_pay') }}),

-- Whose rows a caliber counts; of a school that stands in no register nobody can say whether it is public.
register_filing as (
    {{ asked_filings('school') }}
),

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
    from {{ source('policy', 'calibers') }}
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
    inner join {{ source('policy', 'caliber_members') }} as counted
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
    left join {{ source('policy', 'caliber_members') }} as organiser
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
    inner join {{ source('policy', 'pay_components') }} as component on answer.component = component.component
    inner join {{ source('policy', 'pay_components') }} as holder
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

touched_pair as (
    select distinct
        return_code,
        county_code,
        period,
        component,
        holder
    from touched
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
    inner join touched_pair as pair
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

mixed_filing as (
    select
        return_code,
        county_code,
        period,
        min(place) as place,
        {{ text_list('words', '，', 'ordinal, coalesce(holder_ordinal, 0)') }} as words
    from mixed
    group by return_code, county_code, period
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
    left join mixed_filing
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
    -- noqa: disable=LT02
    {%- for name in pay_components() %}
        bool_or(component.component = '{{ name }}' and component.is_included) as {{ name }}{{ ',' if not loop.last }}
    {%- endfor %}
    -- noqa: enable=LT02
    from {{ source('policy', 'pay_components') }} as component
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
        -- noqa: disable=LT02
        case
            when crossing_row.source_row is null then
            {%- for name in pay_components() %}
                case when component_in.{{ name }} then {{ counted(name, 'counted_row') }} else 0 end
                {{- ' +' if not loop.last }}
            {%- endfor %}
        end as yuan
    -- noqa: enable=LT02
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

{{ asked("'included_elsewhere'", 'included', 'words is not null', place='row', subject="''", column_name='component',
    detail='words') }}
union all
{{ asked("'parity'", 'parity', 'value not between low and high', subject="''", value='value',
    expected=bound_crossed('value', 'low', 'high'), detail='words') }}
