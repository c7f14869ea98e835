-- The filings that each figure of a county rests on, expected ones that are not there among them: of its terms, or of
-- the terms of the figures that it is made of.
with of_terms as (
    select distinct
        role_source.indicator_code,
        role_source.caliber_id,
        expected.period,
        role_source.county_code,
        role_source.source_return as return_code,
        role_source.source_period
    from {{ ref('int_role_source') }} as role_source
    inner join {{ ref('int_expected_figure') }} as expected
        on
            role_source.indicator_code = expected.indicator_code
            and role_source.caliber_id = expected.caliber_id
            and role_source.county_code = expected.county_code
            and role_source.part_period = expected.part_period
    -- Of a return that the calendar does not know nobody can say the period.
    where role_source.source_period is not null
),

made_of as (
    select
        indicator_code,
        caliber_id,
        period,
        county_code,
        of_code,
        of_caliber_id,
        of_period
    from {{ ref('int_made_of') }}
    union distinct
    select
        indicator_code,
        caliber_id,
        period,
        county_code,
        of_code,
        of_caliber_id,
        base_period as of_period
    from {{ ref('int_made_of') }}
    where base_period is not null
),

of_figures as (
    select
        made_of.indicator_code,
        made_of.caliber_id,
        made_of.period,
        made_of.county_code,
        of_terms.return_code,
        of_terms.source_period
    from made_of
    inner join of_terms
        on
            made_of.of_code = of_terms.indicator_code
            and made_of.of_caliber_id = of_terms.caliber_id
            and made_of.of_period = of_terms.period
            and made_of.county_code = of_terms.county_code
),

of_figures_of_figures as (
    select
        made_of.indicator_code,
        made_of.caliber_id,
        made_of.period,
        made_of.county_code,
        of_figures.return_code,
        of_figures.source_period
    from made_of
    inner join of_figures
        on
            made_of.of_code = of_figures.indicator_code
            and made_of.of_caliber_id = of_figures.caliber_id
            and made_of.of_period = of_figures.period
            and made_of.county_code = of_figures.county_code
)

select * from of_terms
union distinct
select * from of_figures
union distinct
select * from of_figures_of_figures
