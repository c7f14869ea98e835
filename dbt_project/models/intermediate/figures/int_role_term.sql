-- The terms of every figure: of each indicator and caliber, for each county and part that is expected, each role's
-- terms with their sign, the filing that they rest on and whether they are known. Sources, finality, open queries and
-- vintage of a figure hang on this table.
with part as (
    select
        indicator.indicator_code,
        indicator.anchor_return,
        calibers.caliber_id,
        expected.county_code,
        expected.period as part_period,
        expected.period_start
    from {{ source('declared', 'indicator') }} as indicator
    inner join {{ ref('int_caliber') }} as calibers
        on coalesce(indicator.caliber_kind, 'as_reported') = calibers.caliber_kind
    inner join {{ ref('stg_expected_filing') }} as expected
        on
            indicator.anchor_return = expected.return_code
            and calibers.valid_from <= expected.period_start
            and (calibers.valid_to is null or calibers.valid_to > expected.period_start)
    where indicator.per is null
)

select
    part.indicator_code,
    part.caliber_id,
    part.county_code,
    part.part_period,
    indicator_term.role,
    indicator_term.term,
    indicator_term.ordinal,
    coalesce(varied.variant, '') as variant,
    indicator_term.sign,
    case
        when source.is_exempt then cast(0 as decimal(38, 4))
        when
            source.submission_id is not null
            and source.is_register_there
            and coalesce(term_value.is_known, term.absent is distinct from 'missing')
            then cast(indicator_term.sign * coalesce(term_value.value, 0) as decimal(38, 4))
    end as value,
    case
        when source.submission_id is not null and source.is_register_there and not coalesce(term_value.is_known, true)
            then term_value.lacking
        else ''
    end as lacking,
    not source.is_exempt
    and source.submission_id is not null
    and source.is_register_there
    and coalesce(term_value.is_absent, true) as is_absent,
    source.return_code,
    source.source_return,
    source.source_period,
    source.asked_period,
    source.submission_id,
    source.received_at,
    source.is_settled or source.is_exempt as is_settled,
    source.is_revised,
    source.is_exempt,
    term_value.vintage_from,
    term_value.vintage_to,
    term_value.source_words
from part
inner join {{ source('declared', 'indicator_term') }} as indicator_term
    on part.indicator_code = indicator_term.indicator_code
inner join {{ source('declared', 'term') }} as term on indicator_term.term = term.term
inner join {{ ref('int_source') }} as source
    on
        part.anchor_return = source.anchor_return
        and part.part_period = source.part_period
        and part.county_code = source.county_code
        and term.return_code = source.return_code
        and coalesce(term.period_relation, '') = source.period_relation
left join {{ ref('int_term_variant') }} as varied
    on
        term.term = varied.term
        and part.anchor_return = varied.anchor_return
        and part.county_code = varied.county_code
        and part.part_period = varied.part_period
left join {{ ref('int_term_value') }} as term_value
    on
        term.term = term_value.term
        and coalesce(varied.variant, '') = term_value.variant
        and part.caliber_id = term_value.caliber_id
        and part.county_code = term_value.county_code
        and source.asked_period = term_value.period
        and term_value.unit = ''
