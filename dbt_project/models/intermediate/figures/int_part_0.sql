-- What each county contributes to each indicator that is made of terms: a row for every expected part of every period,
-- with the sums of its four roles or without them (null: a term of the role is missing).
with placed as (
    select
        *,
        case role
            when 'numerator' then 100 when 'numerator_base' then 200 when 'denominator' then 300
            when 'denominator_base' then 400 else 500
        end + ordinal as place
    from {{ ref('int_role_term') }}
),

-- Which return is asked first and which second.
asked_return as (
    select
        indicator_code,
        source_return,
        row_number() over (partition by indicator_code order by min(place), source_return) as return_n
    from placed
    group by indicator_code, source_return
),

reason as (
    select
        indicator_code,
        caliber_id,
        county_code,
        part_period,
        {{ text_list('lacking', '，', 'place') }} as lacking
    from (
        select
            indicator_code,
            caliber_id,
            county_code,
            part_period,
            lacking,
            min(place) as place
        from placed
        where lacking != '' and role != 'exists'
        group by indicator_code, caliber_id, county_code, part_period, lacking
    ) as told
    group by indicator_code, caliber_id, county_code, part_period
),

summed as (
    select
        placed.indicator_code,
        placed.caliber_id,
        placed.county_code,
        placed.part_period,
        bool_and(placed.value is not null) filter (where placed.role != 'exists') as has_terms,
        {% for side in figure_terms() %}
            case
                when bool_and(placed.value is not null) filter (where placed.role = '{{ side }}')
                    then cast(sum(placed.value) filter (where placed.role = '{{ side }}') as {{ sum_type() }})
            end as {{ side }},
        {% endfor %}
        -- Does what the indicator counts exist there? What role `exists` says, or else the numerator.
        coalesce(
            bool_or(placed.is_absent) filter (where placed.role = 'exists'),
            bool_and(placed.is_absent) filter (where placed.role = 'numerator'),
            false
        ) as is_kind_absent,
        max(placed.source_return) filter (where placed.role in ('exists', 'numerator')) as kind_return,
        max(placed.submission_id) filter (where asked_return.return_n = 1) as first_submission_id,
        max(placed.submission_id) filter (where asked_return.return_n = 2) as second_submission_id,
        max(asked_return.return_n) as returns_n,
        max(placed.received_at) as known_at,
        bool_and(placed.is_settled and (placed.submission_id is not null or placed.is_exempt)) as is_settled,
        bool_or(placed.is_revised) as is_revised,
        min(placed.vintage_from) as vintage_from,
        max(placed.vintage_to) as vintage_to,
        {{ text_list('distinct placed.source_words', '、', 'placed.source_words') }} as source_words
    from placed
    inner join asked_return
        on placed.indicator_code = asked_return.indicator_code and placed.source_return = asked_return.source_return
    group by placed.indicator_code, placed.caliber_id, placed.county_code, placed.part_period
),

part as (
    select
        summed.*,
        indicator.over_year,
        summed.is_kind_absent and coalesce(indicator.is_nothing_counted, false) as is_nothing,
        summed.is_kind_absent and not coalesce(indicator.is_nothing_counted, false) as is_lacking_kind,
        expected.period_type,
        expected.calendar_year,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.reference_on,
        expected.is_year_spanned,
        expected.is_year_spanned_by_all,
        coalesce(reason.lacking, '') as lacking,
        case due.value when 'register' then '名录中没有该学段的学校' else '' end as absent_words
    from summed
    inner join {{ source('declared', 'indicator') }} as indicator on summed.indicator_code = indicator.indicator_code
    inner join {{ ref('stg_expected_filing') }} as expected
        on
            indicator.anchor_return = expected.return_code
            and summed.county_code = expected.county_code
            and summed.part_period = expected.period
    left join reason
        on
            summed.indicator_code = reason.indicator_code
            and summed.caliber_id = reason.caliber_id
            and summed.county_code = reason.county_code
            and summed.part_period = reason.part_period
    left join {{ source('declared', 'return_rule') }} as due
        on summed.kind_return = due.return_code and due.rule = 'due'
),

-- Units that pass ÷ units that are judged; a county of which a unit is not known has neither.
unit_part as (
    select
        expected.indicator_code,
        expected.caliber_id,
        expected.county_code,
        expected.part_period,
        coalesce(judged.is_known, false) as has_terms,
        cast(judged.met_n as {{ sum_type() }}) as numerator,
        cast(null as {{ sum_type() }}) as numerator_base,
        cast(judged.judged_n as {{ sum_type() }}) as denominator,
        cast(null as {{ sum_type() }}) as denominator_base,
        coalesce(judged.judged_n = 0, false) as is_nothing,
        false as is_lacking_kind,
        source.submission_id as first_submission_id,
        source.submission_id as second_submission_id,
        1 as returns_n,
        source.known_at,
        source.is_settled,
        source.is_revised,
        cast(null as date) as vintage_from,
        cast(null as date) as vintage_to,
        cast(null as string) as source_words,
        expected.period,
        expected.calendar_year,
        expected.county_name,
        expected.city_code,
        expected.sort_order,
        expected.reference_on,
        expected.is_period_spanned,
        expected.is_period_spanned_by_all,
        '' as lacking,
        '' as absent_words
    from {{ ref('int_expected_figure') }} as expected
    left join (
        select
            indicator_code,
            caliber_id,
            county_code,
            part_period,
            bool_and(is_known or is_excluded) as is_known,
            count(*) filter (where is_met) as met_n,
            count(*) filter (where is_met is not null) as judged_n
        from {{ ref('int_unit_verdict') }}
        group by indicator_code, caliber_id, county_code, part_period
    ) as judged
        on
            expected.indicator_code = judged.indicator_code
            and expected.caliber_id = judged.caliber_id
            and expected.county_code = judged.county_code
            and expected.part_period = judged.part_period
    left join (
        select
            indicator_code,
            caliber_id,
            county_code,
            part_period,
            max(submission_id) as submission_id,
            max(received_at) as known_at,
            bool_and(is_settled) as is_settled,
            bool_or(is_revised) as is_revised
        from {{ ref('int_role_source') }}
        group by indicator_code, caliber_id, county_code, part_period
    ) as source
        on
            expected.indicator_code = source.indicator_code
            and expected.caliber_id = source.caliber_id
            and expected.county_code = source.county_code
            and expected.part_period = source.part_period
    where expected.shape = 'share_of_units' and not expected.is_year
),

{% set columns = [
    'indicator_code', 'caliber_id', 'county_code', 'part_period', 'has_terms', 'numerator', 'numerator_base', 'denominator',
    'denominator_base', 'is_nothing', 'is_lacking_kind', 'first_submission_id', 'second_submission_id', 'returns_n',
    'known_at', 'is_settled', 'is_revised', 'vintage_from', 'vintage_to', 'source_words', 'calendar_year', 'county_name',
    'city_code', 'sort_order', 'reference_on', 'lacking', 'absent_words',
] | join(', ') %}
part_of_period as (
    select
        {{ columns }},
        part_period as period,
        true as is_period_spanned,
        true as is_period_spanned_by_all
    from part
    union all
    select
        {{ columns }},
        period,
        is_period_spanned,
        is_period_spanned_by_all
    from unit_part
    union all
    select
        {{ columns }},
        calendar_year as period,
        is_year_spanned as is_period_spanned,
        is_year_spanned_by_all as is_period_spanned_by_all
    from part
    where period_type in ('quarter', 'month') and over_year = 'sum'
),

{{ county_parts('part_of_period') }}
