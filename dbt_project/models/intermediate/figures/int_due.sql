-- Rows that a filing must have: of stages by the register of schools, of programmes by what the county has. `due_key`
-- reads as the members of an atom. A stage that is reported is due whatever the register says; of one that is not,
-- nobody can say without a register whether there is such a school, unless another stage of its level is reported.
with rule as (
    select
        return_code,
        dimension as signature,
        value as by_what
    from {{ source('declared', 'return_rule') }}
    where rule = 'due'
),

presence as (
    select
        atom.return_code,
        atom.signature,
        atom.county_code,
        atom.period,
        split_part(atom.atom, '|', 2) as member,
        substr(atom.atom, strpos(atom.atom, '|') + 1) as due_key
    from {{ ref('int_atom') }} as atom
    inner join rule on atom.return_code = rule.return_code and atom.signature = rule.signature
    where atom.atom_column = atom.return_code || '.*'
),

filing as (
    select
        rule.return_code,
        rule.signature,
        filing.county_code,
        filing.period,
        expected.calendar_year,
        expected.reference_on,
        register.submission_id is not null as is_register_there
    from rule
    inner join {{ ref('stg_filing') }} as filing on rule.return_code = filing.return_code and filing.is_in_force
    inner join {{ ref('stg_expected_filing') }} as expected
        on
            filing.return_code = expected.return_code
            and filing.county_code = expected.county_code
            and filing.period = expected.period
    left join {{ ref('stg_filing') }} as register
        on
            register.is_in_force
            and register.return_code = 'school'
            and filing.county_code = register.county_code
            and expected.calendar_year = left(register.period, 4)
    where rule.by_what = 'register'
),

by_register as (
    select distinct
        filing.return_code,
        filing.signature,
        filing.county_code,
        filing.period,
        types.reported_stage as member,
        types.reported_stage || case filing.signature when 'stage' then '' else '|' || school.organiser end as due_key
    from filing
    inner join {{ ref('stg_school') }} as school
        on
            filing.county_code = school.county_code
            and filing.calendar_year = left(school.period, 4)
            and {{ open_on('school', 'filing.reference_on') }}
    inner join {{ source('policy', 'school_type_stages') }} as types on school.school_type = types.school_type
),

unknowable as (
    select
        filing.return_code,
        filing.signature,
        filing.county_code,
        filing.period,
        stages.reported_stage as member,
        stages.reported_stage as due_key
    from filing
    cross join {{ source('policy', 'reported_stages') }} as stages
    left join (
        select
            presence.return_code,
            presence.county_code,
            presence.period,
            reported.level
        from presence
        inner join {{ source('policy', 'reported_stages') }} as reported on presence.member = reported.reported_stage
    ) as level_reported
        on
            filing.return_code = level_reported.return_code
            and filing.county_code = level_reported.county_code
            and filing.period = level_reported.period
            and stages.level = level_reported.level
    where filing.signature = 'stage' and not filing.is_register_there and level_reported.level is null
),

by_policy as (
    select distinct
        rule.return_code,
        rule.signature,
        subsidy.county_code,
        subsidy.period,
        subsidy.programme as member,
        subsidy.programme as due_key
    from rule
    cross join {{ ref('int_subsidy_county') }} as subsidy
    where rule.by_what = 'policy' and subsidy.is_total and subsidy.is_expected
),

due as (
    select * from by_register
    union all
    select * from unknowable
    union all
    select * from by_policy
    union all
    select
        presence.return_code,
        presence.signature,
        presence.county_code,
        presence.period,
        presence.member,
        presence.due_key
    from presence
    inner join rule on presence.return_code = rule.return_code and rule.by_what = 'register'
)

select distinct
    due.return_code,
    due.signature,
    due.county_code,
    due.period,
    due.member,
    due.due_key,
    coalesce(stages.level, 0) as level,
    -- Where nobody can say whose a school is, its stage is reported.
    presence.member is null as is_unreported
from due
left join {{ source('policy', 'reported_stages') }} as stages on due.member = stages.reported_stage
left join presence
    on
        due.return_code = presence.return_code
        and due.county_code = presence.county_code
        and due.period = presence.period
        and due.member = presence.member
        and (due.due_key = presence.due_key or presence.due_key like '%|')
