-- What indicators that are judged unit by unit (school by school) find at each unit: the sums of numerator and
-- denominator of every unit of every expected part; null where a term of it is missing.
with part as (
    select
        expected.indicator_code,
        expected.anchor_return,
        expected.caliber_id,
        expected.county_code,
        expected.part_period
    from {{ ref('int_expected_figure') }} as expected
    inner join {{ source('declared', 'indicator') }} as indicator
        on expected.indicator_code = indicator.indicator_code and indicator.per is not null
    where not expected.is_year
),

-- Every term of a unit that any of its terms has.
asked as (
    select
        part.indicator_code,
        part.caliber_id,
        part.county_code,
        part.part_period,
        indicator_term.role,
        indicator_term.term,
        indicator_term.sign,
        coalesce(varied.variant, '') as variant,
        source.asked_period,
        source.submission_id,
        source.is_register_there
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
),

found as (
    select
        asked.indicator_code,
        asked.caliber_id,
        asked.county_code,
        asked.part_period,
        asked.role,
        asked.term,
        term_value.unit,
        asked.sign * term_value.value as value,
        term_value.is_known
    from asked
    inner join {{ ref('int_term_value') }} as term_value
        on
            asked.term = term_value.term
            and asked.variant = term_value.variant
            and asked.caliber_id = term_value.caliber_id
            and asked.county_code = term_value.county_code
            and asked.asked_period = term_value.period
            and term_value.unit != ''
),

there as (
    select
        indicator_code,
        caliber_id,
        county_code,
        part_period,
        bool_and(submission_id is not null and is_register_there) as is_there
    from asked
    group by indicator_code, caliber_id, county_code, part_period
)

select
    found.indicator_code,
    found.caliber_id,
    found.county_code,
    found.part_period,
    found.unit,
    bool_and(found.is_known) as is_known,
    coalesce(sum(found.value) filter (where found.role = 'numerator'), 0) as numerator,
    case
        when max(wanted.has_denominator) then coalesce(sum(found.value) filter (where found.role = 'denominator'), 0)
    end as denominator
from found
inner join there
    on
        found.indicator_code = there.indicator_code
        and found.caliber_id = there.caliber_id
        and found.county_code = there.county_code
        and found.part_period = there.part_period
        and there.is_there
inner join (
    select
        indicator_code,
        bool_or(role = 'denominator') as has_denominator
    from {{ source('declared', 'indicator_term') }}
    group by indicator_code
) as wanted on found.indicator_code = wanted.indicator_code
group by found.indicator_code, found.caliber_id, found.county_code, found.part_period, found.unit
