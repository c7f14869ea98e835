-- XB03：与上年、与其他口径、与 2020 年普查相比。
with {{ check_parameters('population', [
    ('cohort', 'share'), ('cohort', 'persons'), ('change_register', 'share'), ('change_register', 'persons'),
    ('registers', 'low'), ('registers', 'high'), ('census_2020', 'share'), ('census_2020', 'persons'),
]) }},

{{ units_in_doubt('population') }},

filing as (
    {{ asked_filings('population') }}
),

person as (
    select
        person.*,
        person.register || '/' || cast(person.age as string) as subject,
        person.register || ' ' || cast(person.age as string) || ' 岁' as row_label
    from ({{ asked_rows('population') }}) as person
),

-- The people of an age beside those a year younger in the year before.
cohort as (
    select
        person.*,
        younger.population_total as population_before,
        person.register || '人口 ' || cast(person.age as string) || ' 岁，上年 ' || cast(person.age - 1 as string)
        || ' 岁' as words,
        {{ far_apart(
            'person.population_total', 'younger.population_total', 'parameter.cohort_share', 'parameter.cohort_persons'
        ) }} as is_far
    from person
    cross join parameter
    inner join person as younger
        on
            person.county_code = younger.county_code
            and person.before_period = younger.period
            and person.register = younger.register
            and person.age = younger.age + 1
    where {{ unit_is_sure('person', 'population_total') }}
),

-- All ages of each register.
register as (
    select
        return_code,
        county_code,
        period,
        before_period,
        submission_id,
        register,
        register || '人口合计' as row_label,
        register || '人口' as register_name,
        {{ sum_of_all('population_total') }} as people,
        {{ rows_summed(adjacent=true) }}
    from person
    group by return_code, county_code, period, before_period, submission_id, register
    having count(distinct age) = 18
),

changed as (
    select
        register.*,
        earlier.people as people_before,
        {{ far_apart(
            'register.people', 'earlier.people', 'parameter.change_register_share', 'parameter.change_register_persons'
        ) }} as is_far
    from register
    cross join parameter
    inner join register as earlier
        on
            register.county_code = earlier.county_code
            and register.before_period = earlier.period
            and register.register = earlier.register
    where {{ unit_is_sure('register', 'population_total') }}
),

default_register as (
    {{ default_members('population', 'population_register') }}
),

-- Each register against the one that rates go by, in per cent.
compared as (
    select
        register.*,
        parameter.registers_low as low,
        parameter.registers_high as high,
        {{ rounded_quotient('register.people * 100', 'resident.people', 1) }} as value,
        register.register_name || ' ' || cast(register.people as string) || ' 人，' || resident.register_name || ' '
        || cast(resident.people as string) || ' 人' as words
    from register
    cross join parameter
    inner join register as resident
        on
            register.county_code = resident.county_code
            and register.period = resident.period
            and resident.register in (select default_register.member from default_register)
    where register.register not in (select default_register.member from default_register)
),

-- The register that rates go by, and every one of the year before.
wanted_register as (
    select
        filing.county_code,
        filing.period,
        default_register.member as register
    from filing
    cross join default_register
    union
    select
        filing.county_code,
        filing.period,
        earlier.register
    from filing
    inner join person as earlier
        on filing.county_code = earlier.county_code and filing.before_period = earlier.period
),

reported_register as (
    select distinct
        county_code,
        period,
        register
    from person
),

wanted as (
    select
        filing.*,
        register.register,
        register.register || '人口' as words,
        here.register is null as is_absent
    from filing
    inner join wanted_register as register
        on filing.county_code = register.county_code and filing.period = register.period
    left join reported_register as here
        on
            filing.county_code = here.county_code
            and filing.period = here.period
            and register.register = here.register
),

-- The bands of the census that counts, aged to the year of the return.
census_file as (
    select submission_id
    from {{ ref('stg_filing') }}
    where return_code = 'census_2020' and verdict != 'rejected'
    qualify row_number() over (order by received_at desc, submission_id desc) = 1
),

band as (
    select distinct
        census.area_code as county_code,
        filing.period,
        census.age_from + cast(filing.period as integer) - 2020 as age_from,
        census.age_to + cast(filing.period as integer) - 2020 as age_to,
        census.male + census.female as people_in_2020
    from {{ source('landing', 'census_2020') }} as census
    inner join census_file on census.submission_id = census_file.submission_id
    inner join filing on census.area_code = filing.county_code
    where cast(filing.period as integer) > 2020 and census.age_to + cast(filing.period as integer) - 2020 <= 17
),

aged as (
    select
        person.return_code,
        person.county_code,
        person.period,
        person.submission_id,
        band.people_in_2020,
        cast(band.age_from as string) || '–' || cast(band.age_to as string) as ages,
        sum(person.population_total) as people,
        count(person.population_total) = band.age_to - band.age_from + 1 as is_whole,
        min_by(person.subject, person.age) as subject,
        {{ rows_summed('person', adjacent=true) }}
    from band
    inner join person
        on
            band.county_code = person.county_code
            and band.period = person.period
            and person.age between band.age_from and band.age_to
            and person.register = '常住'
    group by
        person.return_code,
        person.county_code,
        person.period,
        person.submission_id,
        band.people_in_2020,
        band.age_from,
        band.age_to
),

census as (
    select
        aged.*,
        aged.ages || ' 岁合计' as row_label,
        {{ far_apart(
            'aged.people', 'aged.people_in_2020', 'parameter.census_2020_share', 'parameter.census_2020_persons'
        ) }} as is_far
    from aged
    cross join parameter
    where aged.is_whole
)

{{ asked("'cohort'", 'cohort', 'is_far', place='row', row_label='row_label', subject='subject',
    value='population_total', expected='population_before', detail='words') }}
union all
{{ asked("'change_register'", 'changed', 'is_far', place='rows', row_label='row_label', subject='register',
    value='people', expected='people_before', detail='row_label') }}
union all
{{ asked("'registers'", 'compared', 'value not between low and high', place='rows', row_label='row_label',
    subject='register', value='value', expected=bound_crossed('value', 'low', 'high'), detail='words') }}
union all
{{ asked("'register_missing'", 'wanted', 'is_absent', row_label='words', subject='register', detail='words') }}
union all
{{ asked("'census_2020'", 'census', 'is_far', place='rows', row_label='row_label', subject='subject', value='people',
    expected='people_in_2020', detail='ages') }}
