-- XB02：本县（市、区）各学段入学率是否合理：学生（XB02）与学龄人口（XB03，默认口径）。
with {{ check_parameters('enrolment', [
    ('gross_preschool', 'low'), ('gross_preschool', 'high'), ('gross_primary', 'low'), ('gross_primary', 'high'),
    ('gross_junior', 'low'), ('gross_junior', 'high'),
    ('net_primary', 'low'), ('net_primary', 'high'), ('net_junior', 'low'), ('net_junior', 'high'),
    ('net_compulsory', 'low'), ('net_compulsory', 'high'),
    ('gender_parity', 'low'), ('gender_parity', 'high'), ('gender_parity', 'persons'),
]) }},

pupil as (
    select
        pupil.*,
        reported_stage.level
    from ({{ asked_rows('enrolment') }}) as pupil
    left join {{ source('policy', 'reported_stages') }} as reported_stage on pupil.stage = reported_stage.reported_stage
),

official_age as (
    select
        member_group,
        min(cast(member as integer)) as age_from,
        max(cast(member as integer)) as age_to
    from {{ source('policy', 'member_groups') }}
    where dimension = 'age' and scope_code = 'CN' and member_group like '%学龄'
    group by member_group
),

-- Which questions are asked of a stage.
question as (
    select
        stage.stage,
        official_age.age_from,
        official_age.age_to,
        stage.level_from,
        stage.level_to,
        stage.under_3_excluded,
        case stage.stage
            when '学前' then 'gross_preschool' when '小学' then 'gross_primary' when '初中' then 'gross_junior'
            -- Senior schools draw pupils from other counties: no rate of a county is out of bounds.
            when '高中阶段' then ''
        end as gross_question,
        case stage.stage
            when '小学' then 'net_primary' when '初中' then 'net_junior' when '义务教育' then 'net_compulsory'
        end as net_question,
        case stage.stage
            when '学前' then parameter.gross_preschool_low when '小学' then parameter.gross_primary_low
            when '初中' then parameter.gross_junior_low
        end as gross_low,
        case stage.stage
            when '学前' then parameter.gross_preschool_high when '小学' then parameter.gross_primary_high
            when '初中' then parameter.gross_junior_high
        end as gross_high,
        case stage.stage
            when '小学' then parameter.net_primary_low when '初中' then parameter.net_junior_low
            when '义务教育' then parameter.net_compulsory_low
        end as net_low,
        case stage.stage
            when '小学' then parameter.net_primary_high when '初中' then parameter.net_junior_high
            when '义务教育' then parameter.net_compulsory_high
        end as net_high,
        parameter.gender_parity_low,
        parameter.gender_parity_high,
        parameter.gender_parity_persons,
        cast(official_age.age_from as string) || '–' || cast(official_age.age_to as string) || ' 岁' as ages
    from {{ source('policy', 'stages') }} as stage
    inner join official_age on stage.stage || '学龄' = official_age.member_group
    cross join parameter
),

-- People of each age in the register that rates go by.
age as (
    select
        county_code,
        period as calendar_year,
        age,
        {{ sum_or_missing('population_total') }} as people,
        {{ sum_or_missing('population_female') }} as women
    from {{ ref('stg_population') }}
    where register in ({{ default_members('population', 'population_register') }})
    group by county_code, period, age
),

-- Missing unless every age is reported.
stage_people as (
    select
        age.county_code,
        age.calendar_year,
        question.stage,
        {{ sum_of_all('age.people') }} as people,
        {{ sum_of_all('age.women') }} as women
    from age
    inner join question on age.age between question.age_from and question.age_to
    group by age.county_code, age.calendar_year, question.stage, question.age_from, question.age_to
    having count(*) = question.age_to - question.age_from + 1
),

enrolled as (
    select
        pupil.return_code,
        pupil.county_code,
        pupil.period,
        pupil.submission_id,
        pupil.calendar_year,
        question.stage,
        {{ sum_or_missing('students_total', 'pupil') }} as pupils,
        {{ sum_or_missing('students_female', 'pupil') }} as girls,
        {{ sum_or_missing('age_2_and_under', 'pupil') }} as under_3
    from pupil
    inner join question
        on
            pupil.level between question.level_from and question.level_to
            and question.gross_question is not null
    group by
        pupil.return_code, pupil.county_code, pupil.period, pupil.submission_id, pupil.calendar_year, question.stage
),

gross_term as (
    select
        enrolled.*,
        question.gross_question,
        question.gross_low,
        question.gross_high,
        question.gender_parity_low,
        question.gender_parity_high,
        question.gender_parity_persons,
        question.ages,
        enrolled.pupils - case when question.under_3_excluded then enrolled.under_3 else 0 end as numerator,
        enrolled.pupils - enrolled.girls as boys,
        stage_people.people,
        stage_people.women,
        stage_people.people - stage_people.women as men
    from enrolled
    inner join question on enrolled.stage = question.stage
    left join stage_people
        on
            enrolled.county_code = stage_people.county_code
            and enrolled.calendar_year = stage_people.calendar_year
            and enrolled.stage = stage_people.stage
),

gross as (
    select
        gross_term.*,
        {{ rounded_quotient('gross_term.numerator * 100', 'gross_term.people', 2) }} as value,
        gross_term.people > 0 or gross_term.numerator = 0 as can_be_divided
    from gross_term
),

parity as (
    select
        gross_term.*,
        {{ rounded_quotient('gross_term.girls * gross_term.men', 'gross_term.boys * gross_term.women', 2) }} as value
    from gross_term
    where least(gross_term.girls, gross_term.boys) >= gross_term.gender_parity_persons
),

-- Pupils of the stage's ages in the stage and above; unless every part of the stage is reported, it has not been.
of_age as (
    select
        pupil.return_code,
        pupil.county_code,
        pupil.period,
        pupil.submission_id,
        pupil.calendar_year,
        pupil.level,
        pupil.stage as reported_stage,
        question.stage,
        question.level_from,
        question.level_to,
        {%- for age in range(3, 18) %}
            case
                when
                    {{ age }} between question.age_from and question.age_to
                    then {{ counted('age_' ~ age, 'pupil') }} else
                    0
            end{{ ' +' if not loop.last }}
        {%- endfor %} as pupils
    from pupil
    inner join question on pupil.level >= question.level_from and question.net_question is not null
),

net_term as (
    select
        of_age.return_code,
        of_age.county_code,
        of_age.period,
        of_age.submission_id,
        of_age.calendar_year,
        of_age.stage,
        case
            when
                count(distinct of_age.reported_stage) filter (where of_age.level <= of_age.level_to)
                = max(part.parts_n)
                then {{ sum_of_all('of_age.pupils') }}
        end as numerator
    from of_age
    inner join (
        select
            question.stage,
            count(*) as parts_n
        from question
        inner join
            {{ source('policy', 'reported_stages') }} as part
            on part.level between question.level_from and question.level_to
        group by question.stage
    ) as part on of_age.stage = part.stage
    group by
        of_age.return_code,
        of_age.county_code,
        of_age.period,
        of_age.submission_id,
        of_age.calendar_year,
        of_age.stage
),

net as (
    select
        net_term.*,
        question.net_question,
        question.net_low,
        question.net_high,
        question.ages,
        stage_people.people,
        {{ rounded_quotient('net_term.numerator * 100', 'stage_people.people', 2) }} as value
    from net_term
    inner join question on net_term.stage = question.stage
    left join stage_people
        on
            net_term.county_code = stage_people.county_code
            and net_term.calendar_year = stage_people.calendar_year
            and net_term.stage = stage_people.stage
)

{%- set over_people = "{} || ' 人 ÷ ' || ages || '人口 ' || {} || ' 人'".format(
    'cast(numerator as string)', 'cast(people as string)'
) %}
{{ asked('gross_question', 'gross', 'value not between gross_low and gross_high', subject='stage', value='value',
    expected=bound_crossed('value', 'gross_low', 'gross_high'), detail=over_people) }}
union all
{{ asked("'zero_population'", 'gross', 'not can_be_divided', subject='stage', value='numerator', expected_text='ages',
    detail='stage') }}
union all
{{ asked(
    "'gender_parity'", 'parity', 'value not between gender_parity_low and gender_parity_high', subject='stage',
    value='value', expected=bound_crossed('value', 'gender_parity_low', 'gender_parity_high'),
    detail="stage || '：女生 ' || cast(girls as string) || '，男生 ' || cast(boys as string) || '；同龄女 '
        || cast(women as string) || '，男 ' || cast(men as string)"
) }}
union all
{{ asked('net_question', 'net', 'value not between net_low and net_high', subject='stage', value='value',
    expected=bound_crossed('value', 'net_low', 'net_high'), detail=over_people) }}
