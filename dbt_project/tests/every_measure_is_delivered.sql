-- A measure or dimension that nothing delivers fails here, instead of getting another's numbers or dropping out quietly.
-- Each row returned names what is lacking and where.
with delivered (return_code, measure, has_bases) as (
    values
    {% for return_code, of_return in measures().items() %}
        {% set last_return = loop.last %}
        {% for name, sides in of_return.items() %}
            ('{{ return_code }}', '{{ name }}', {{ 'true' if sides.numerator_base is defined else 'false' }})
            {{ ',' if not (last_return and loop.last) }}
        {% endfor %}
    {% endfor %}
),

side (role, is_base) as (
    values ('numerator', false), ('numerator_base', true), ('denominator', false), ('denominator_base', true)
)

select 'indicator ' || indicators.indicator_code || ': its return has no such measure: ' || indicators.measure as lacking
from {{ ref('indicators') }} as indicators
left join delivered
    on indicators.return_code = delivered.return_code and indicators.measure = delivered.measure
where delivered.measure is null
union all
select 'indicator ' || indicator_code || ': no words for its distance from a standard: ' || measure as lacking
from {{ ref('indicators') }}
where measure not in ({{ gap_words().keys() | map('tojson') | join(', ') | replace('"', "'") }})
union all
-- Without lineage nobody could walk the figure back to its cells.
select distinct 'lineage of ' || indicators.indicator_code || ': ' || side.role as lacking
from {{ ref('indicators') }} as indicators
inner join delivered
    on indicators.return_code = delivered.return_code and indicators.measure = delivered.measure
inner join side on delivered.has_bases or not side.is_base
where
    indicators.return_code in (select expected.return_code from {{ ref('stg_expected_filing') }} as expected)
    and not exists (
        select 1
        from {{ ref('mart_lineage_term') }} as lineage
        where lineage.indicator_code = indicators.indicator_code and lineage.role = side.role
    )
union all
select distinct 'caliber dimension without a word: ' || dimension as lacking
from {{ source('policy', 'caliber_members') }}
where dimension not in ({{ dimension_words().keys() | map('tojson') | join(', ') | replace('"', "'") }})
union all
select 'stage without a school type, or a school type of an unknown stage: '
    || coalesce(stages.reported_stage, types.reported_stage) as lacking
from {{ source('policy', 'reported_stages') }} as stages
full outer join {{ source('policy', 'school_type_stages') }} as types on stages.reported_stage = types.reported_stage
where stages.reported_stage is null or types.reported_stage is null
