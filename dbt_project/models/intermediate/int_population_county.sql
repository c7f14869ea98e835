-- People of the official ages of a stage, by register: the denominators of every enrolment rate.
-- A register that is not reported, an age that is not there and a cell not reported make the term missing (null).
-- Both sexes or neither: figures by sex must be of the same counties on both sides.
with filing as (
    select
        county_code,
        period,
        submission_id,
        received_at
    from {{ ref('stg_filing') }}
    where is_in_force and return_code = 'population'
),

by_stage as (
    select
        population.county_code,
        population.period,
        population.register,
        stages.stage,
        count(distinct population.age) = any_value(stages.age_to - stages.age_from + 1) as is_every_age_there,
        {{ sum_or_missing('population_total', 'population') }} as population_n,
        {{ sum_or_missing('population_female', 'population') }} as female_n,
        {{ sum_or_missing('population_male', 'population') }} as male_n,
        min(population.vintage_on) as vintage_from,
        max(population.vintage_on) as vintage_to,
        string_agg(distinct left(trim(population.source), 60), '、' order by left(trim(population.source), 60)) as source
    from {{ ref('stg_population') }} as population
    inner join {{ source('policy', 'stages') }} as stages on population.age between stages.age_from and stages.age_to
    group by all
)

select
    filing.county_code,
    filing.period,
    by_stage.register,
    by_stage.stage,
    by_stage.vintage_from,
    by_stage.vintage_to,
    by_stage.source,
    filing.submission_id,
    filing.received_at,
    cast(case when by_stage.is_every_age_there then by_stage.population_n end as bigint) as population_n,
    cast(case when by_stage.is_every_age_there and by_stage.male_n is not null then by_stage.female_n end as bigint)
        as female_n,
    cast(case when by_stage.is_every_age_there and by_stage.female_n is not null then by_stage.male_n end as bigint)
        as male_n
from filing
inner join by_stage on filing.county_code = by_stage.county_code and filing.period = by_stage.period
