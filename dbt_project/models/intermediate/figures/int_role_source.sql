-- The filing that each term of each figure is asked of, by county and part.
{{ config(materialized='view') }}
select distinct
    expected.indicator_code,
    expected.caliber_id,
    expected.county_code,
    expected.part_period,
    source.source_return,
    source.source_period,
    source.submission_id,
    source.received_at,
    source.is_settled,
    source.is_revised
from {{ ref('int_expected_figure') }} as expected
inner join {{ source('declared', 'indicator_term') }} as indicator_term
    on expected.indicator_code = indicator_term.indicator_code and indicator_term.role != 'exists'
inner join {{ source('declared', 'term') }} as term on indicator_term.term = term.term
inner join {{ ref('int_source') }} as source
    on
        expected.anchor_return = source.anchor_return
        and expected.part_period = source.part_period
        and expected.county_code = source.county_code
        and term.return_code = source.return_code
        and coalesce(term.period_relation, '') = source.period_relation
where not expected.is_year
