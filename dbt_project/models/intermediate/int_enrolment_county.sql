-- Pupils of a county by stage: the numerators of every enrolment rate. A null is a missing term, never a zero.
--
-- A stage without a row is no stage without pupils. Where the register of the school year has an open school of it, or
-- no register is there to tell, it is missing; where the register has none, it does not exist there (is_absent) and its
-- sum is 0. A net rate counts pupils of higher stages too, so those must be there as well.
{% set age_columns = [] %}
{% for age in range(3, 18) %}{% do age_columns.append('age_' ~ age) %}{% endfor %}
with filing as (
    select
        county_code,
        period,
        submission_id,
        received_at
    from {{ ref('stg_filing') }}
    where is_in_force and return_code = 'enrolment'
),

-- A school and stage, with the level of its stage (two stages of one level, 普通高中 and 中职, add up).
enrolment as (
    select
        enrolment.*,
        reported_stages.level
    from {{ ref('stg_enrolment') }} as enrolment
    inner join
        {{ source('policy', 'reported_stages') }} as reported_stages
        on enrolment.stage = reported_stages.reported_stage
),

level_total as (
    select
        county_code,
        period,
        level,
        {{ sum_or_missing('students_total') }} as students_n,
        {{ sum_or_missing('students_female') }} as female_n,
        -- More children under 3 than children (possible beside an age that is 缺报): nobody can say how many are older.
        case
            when not coalesce(bool_or(age_2_and_under > students_total), false)
                then {{ sum_or_missing('age_2_and_under') }}
        end as under_3_n
    from enrolment
    group by all
),

level_age as (
    select
        county_code,
        period,
        level,
        unnest({{ range(3, 18) | list }}) as age,
        unnest({{ sums_or_missing(age_columns) }}) as pupils_n
    from enrolment
    group by county_code, period, level
),

-- Everyone in the stage, of whatever age; nurseries' children under 3 are left out where the stage says so.
gross as (
    select
        level_total.county_code,
        level_total.period,
        stages.stage,
        bool_or(
            level_total.students_n is null or (stages.under_3_excluded and level_total.under_3_n is null)
        ) as is_enrolled_missing,
        sum(level_total.students_n)
        - sum(case when stages.under_3_excluded then level_total.under_3_n else 0 end) as enrolled_n,
        sum(case when stages.under_3_excluded then level_total.under_3_n else 0 end) as under_3_n,
        bool_or(level_total.students_n is null or level_total.female_n is null) as is_sex_missing,
        sum(level_total.female_n) as female_n,
        sum(level_total.students_n) - sum(level_total.female_n) as male_n
    from level_total
    inner join
        {{ source('policy', 'stages') }} as stages
        on level_total.level between stages.level_from and stages.level_to
    group by all
),

-- Those of the official ages in the stage or any higher one.
net as (
    select
        level_age.county_code,
        level_age.period,
        stages.stage,
        bool_or(level_age.pupils_n is null) as is_of_age_missing,
        sum(level_age.pupils_n) as of_age_n
    from level_age
    inner join {{ source('policy', 'stages') }} as stages
        on level_age.level >= stages.level_from and level_age.age between stages.age_from and stages.age_to
    where stages.has_net_rate
    group by all
),

-- Each stage of the return in each filing: has it a row, and is it one that the county has?
offered as (
    select
        school.county_code,
        school.period,
        types.reported_stage
    from {{ ref('stg_school') }} as school
    inner join {{ source('policy', 'school_type_stages') }} as types on school.school_type = types.school_type
    where {{ open_on('school', "cast(left(school.period, 4) || '-09-01' as date)") }}
    group by all
),

register as (
    select
        county_code,
        period
    from {{ ref('stg_filing') }}
    where is_in_force and return_code = 'school'
),

reported as (
    select distinct
        county_code,
        period,
        stage
    from enrolment
),

stage_of_filing as (
    select
        filing.county_code,
        filing.period,
        reported_stages.reported_stage,
        reported_stages.level,
        reported.stage is not null as is_reported,
        -- Without a register nobody can say whether a level of which no row is there exists.
        reported.stage is null and (
            offered.reported_stage is not null
            or (register.county_code is null and not bool_or(reported.stage is not null) over (
                partition by filing.county_code, filing.period, reported_stages.level
            ))
        ) as is_unreported
    from filing
    cross join {{ source('policy', 'reported_stages') }} as reported_stages
    left join register on filing.county_code = register.county_code and filing.period = register.period
    left join offered
        on
            filing.county_code = offered.county_code
            and filing.period = offered.period
            and reported_stages.reported_stage = offered.reported_stage
    left join reported
        on
            filing.county_code = reported.county_code
            and filing.period = reported.period
            and reported_stages.reported_stage = reported.stage
),

presence as (
    select
        stage_of_filing.county_code,
        stage_of_filing.period,
        stages.stage,
        not bool_or(
            stage_of_filing.level <= stages.level_to
            and (stage_of_filing.is_reported or stage_of_filing.is_unreported)
        ) as is_absent,
        string_agg(
            stage_of_filing.reported_stage, '、' order by stage_of_filing.level asc, stage_of_filing.reported_stage desc
        ) filter (where stage_of_filing.is_unreported and stage_of_filing.level <= stages.level_to) as unreported,
        string_agg(
            stage_of_filing.reported_stage, '、' order by stage_of_filing.level asc, stage_of_filing.reported_stage desc
        ) filter (where stage_of_filing.is_unreported) as unreported_here_and_above
    from stage_of_filing
    inner join {{ source('policy', 'stages') }} as stages on stage_of_filing.level >= stages.level_from
    group by all
)

select
    filing.county_code,
    filing.period,
    presence.stage,
    filing.submission_id,
    filing.received_at,
    presence.is_absent,
    coalesce('未报' || presence.unreported, '') as lacking,
    coalesce('未报' || presence.unreported_here_and_above, '') as lacking_of_age,
    -- Children whom the figures by sex count and the gross rate does not: the return has nobody under 3 by sex.
    cast(
        case
            when presence.unreported is null and not coalesce(gross.is_enrolled_missing, false)
                then coalesce(gross.under_3_n, 0)
        end as bigint
    ) as under_3_n,
    cast(
        case
            when presence.unreported is null and not coalesce(gross.is_enrolled_missing, false)
                then coalesce(gross.enrolled_n, 0)
        end as bigint
    ) as enrolled_n,
    cast(
        case
            when presence.unreported is null and not coalesce(gross.is_sex_missing, false)
                then coalesce(gross.female_n, 0)
        end as bigint
    ) as female_n,
    cast(
        case
            when presence.unreported is null and not coalesce(gross.is_sex_missing, false)
                then coalesce(gross.male_n, 0)
        end as bigint
    ) as male_n,
    cast(
        case
            when
                stages.has_net_rate
                and presence.unreported_here_and_above is null
                and not coalesce(net.is_of_age_missing, false)
                then coalesce(net.of_age_n, 0)
        end as bigint
    ) as of_age_n
from filing
inner join presence on filing.county_code = presence.county_code and filing.period = presence.period
inner join {{ source('policy', 'stages') }} as stages on presence.stage = stages.stage
left join gross
    on filing.county_code = gross.county_code and filing.period = gross.period and stages.stage = gross.stage
left join net
    on filing.county_code = net.county_code and filing.period = net.period and stages.stage = net.stage
