{#
    Which rows of the returns in force count, under which caliber: the common table expressions that both the county terms
    and their lineage select from, so that the two cannot drift apart.
#}

{# Is a school of the register not yet closed on a day? #}
{% macro open_on(school, day) -%}
    ({{ school }}.closed_on is null or {{ school }}.closed_on > {{ day }})
{%- endmacro %}

{#
    Pay rows by caliber: `caliber`; `teacher_row` (stage and organiser belong to the caliber; organiser null where no
    register has the school); `civil_servant_row`.
#}
{% macro pay_rows() -%}
caliber as (
    select caliber_id
    from {{ source('policy', 'calibers') }}
    where caliber_kind = 'pay'
),

-- The register of the school year that starts in the calendar year; for schools closed before it, the one before.
registered_school as (
    select
        county_code,
        school_code,
        organiser,
        left(period, 4) as calendar_year,
        0 as years_back
    from {{ ref('stg_school') }}
    union all
    select
        county_code,
        school_code,
        organiser,
        right(period, 4) as calendar_year,
        1 as years_back
    from {{ ref('stg_school') }}
),

school as (
    select
        county_code,
        calendar_year,
        school_code,
        arg_min(organiser, years_back) as organiser
    from registered_school
    group by all
),

teacher_row as (
    select
        pay.*,
        caliber.caliber_id,
        school.organiser
    from {{ ref('stg_teacher_pay') }} as pay
    cross join caliber
    inner join {{ source('policy', 'caliber_members') }} as stage_member
        on
            caliber.caliber_id = stage_member.caliber_id
            and stage_member.dimension = 'teacher_stage'
            and pay.stage = stage_member.member
    left join school
        on
            pay.county_code = school.county_code
            and pay.period = school.calendar_year
            and pay.school_code = school.school_code
    left join {{ source('policy', 'caliber_members') }} as organiser_member
        on
            caliber.caliber_id = organiser_member.caliber_id
            and organiser_member.dimension = 'teacher_organiser'
            and school.organiser = organiser_member.member
    where school.organiser is null or organiser_member.member is not null
),

civil_servant_row as (
    select
        pay.*,
        caliber.caliber_id
    from {{ ref('stg_civil_servant_pay') }} as pay
    cross join caliber
    inner join {{ source('policy', 'caliber_members') }} as category_member
        on
            caliber.caliber_id = category_member.caliber_id
            and category_member.dimension = 'civil_servant_category'
            and pay.staff_category = category_member.member
)
{%- endmacro %}

{#
    Subsidy filings with their school and calendar year (`filing`), the rural schools of each caliber (`school`), the
    calibers (`caliber`), the payroll (`payroll`) and the subsidy rows
    (`subsidy`).
#}
{% macro subsidy_rows() -%}
filing as (
    select
        filing.county_code,
        filing.period,
        filing.submission_id,
        filing.received_at,
        expected.period_start,
        expected.period_end,
        expected.city_code,
        expected.school_year,
        expected.is_register_of_the_county,
        expected.calendar_year
    from {{ ref('stg_filing') }} as filing
    inner join {{ ref('stg_expected_filing') }} as expected
        on
            filing.return_code = expected.return_code
            and filing.county_code = expected.county_code
            and filing.period = expected.period
    where filing.is_in_force and filing.return_code = 'rural_subsidy'
),

-- A rural school of a caliber: by location, type and organiser.
school as (
    select
        school.county_code,
        school.period,
        school.school_code,
        school.school_name,
        school.subsidy_tier,
        school.closed_on,
        school.submission_id,
        school.sheet,
        school.source_row,
        location.caliber_id
    from {{ ref('stg_school') }} as school
    inner join {{ source('policy', 'caliber_members') }} as location
        on location.dimension = 'rural_location_code' and school.location_code = location.member
    inner join {{ source('policy', 'caliber_members') }} as school_type
        on
            location.caliber_id = school_type.caliber_id
            and school_type.dimension = 'rural_school_type'
            and school.school_type = school_type.member
    inner join {{ source('policy', 'caliber_members') }} as organiser
        on
            location.caliber_id = organiser.caliber_id
            and organiser.dimension = 'rural_school_organiser'
            and school.organiser = organiser.member
),

caliber as (
    select caliber_id
    from {{ source('policy', 'calibers') }}
    where caliber_kind = 'rural'
),

-- The payroll by caliber; `is_counted`: who stands there is a rural teacher where the school is rural (`school`).
payroll as (
    select
        pay.county_code,
        pay.period,
        pay.school_code,
        pay.school_name,
        pay.stage,
        pay.teachers_average,
        pay.missing_codes,
        pay.submission_id,
        pay.sheet,
        pay.source_row,
        caliber.caliber_id,
        stage_member.member is not null as is_counted
    from {{ ref('stg_teacher_pay') }} as pay
    cross join caliber
    left join {{ source('policy', 'caliber_members') }} as stage_member
        on
            caliber.caliber_id = stage_member.caliber_id
            and stage_member.dimension = 'rural_teacher_stage'
            and pay.stage = stage_member.member
),

subsidy as (
    select
        subsidy.*,
        filing.school_year,
        filing.period_start,
        filing.period_end
    from {{ ref('stg_rural_subsidy') }} as subsidy
    inner join filing on subsidy.county_code = filing.county_code and subsidy.period = filing.period
)
{%- endmacro %}

{# Every programme and tier that a subsidy mart has a row for: of the seed, reported, or asked for by an indicator. #}
{% macro subsidy_tiers_shown() -%}
tier as (
    select
        programme,
        tier,
        false as is_total
    from {{ source('policy', 'subsidy_tiers') }}
    union distinct
    select
        programme,
        '合计' as tier,
        true as is_total
    from {{ source('policy', 'subsidy_tiers') }}
    union distinct
    select
        programme,
        tier,
        is_total
    from {{ ref('int_subsidy_county') }}
    union distinct
    select
        programme,
        '合计' as tier,
        true as is_total
    from {{ ref('indicators') }}
    where programme is not null
)
{%- endmacro %}

{# Whether the standards of a row's programme and tier (in totals: programme), or the rural caliber, are samples. #}
{% macro subsidy_policy_is_sample(row) -%}
    exists (
        select 1
        from {{ source('policy', 'subsidy_tiers') }} as sample_tier
        where
            sample_tier.is_sample
            and sample_tier.programme = {{ row }}.programme
            and (sample_tier.tier = {{ row }}.tier or {{ row }}.is_total)
    )
    or exists (
        select 1
        from {{ source('policy', 'calibers') }} as sample_caliber
        where sample_caliber.caliber_kind = 'rural' and sample_caliber.is_default and sample_caliber.is_sample
    )
{%- endmacro %}
