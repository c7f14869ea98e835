-- The cells of every county term add up to the term, in every role of every indicator that is made of terms, and none of them
-- is lacking; of indicators of indicators, the verdicts of the county.
with cell_sum as (
    select
        term,
        county_code,
        period as source_period,
        sum(contribution) as contribution,
        count(*) filter (where missing_code not in ('not_applicable', 'included_elsewhere')) as lacking_n
    from {{ ref('mart_lineage_cell') }}
    group by term, county_code, period
),

traced as (
    select
        lineage.indicator_code,
        lineage.caliber_id,
        lineage.period,
        lineage.part_period,
        lineage.role,
        cell_sum.county_code,
        sum(lineage.sign * cell_sum.contribution) as traced_sum,
        sum(cell_sum.lacking_n) as lacking_n
    from {{ ref('mart_lineage_term') }} as lineage
    inner join cell_sum
        on
            lineage.term = cell_sum.term
            and lineage.source_period = cell_sum.source_period
            and coalesce(lineage.county_code, cell_sum.county_code) = cell_sum.county_code
    group by
        lineage.indicator_code, lineage.caliber_id, lineage.period, lineage.part_period, lineage.role,
        cell_sum.county_code
),

judged as (
    select
        lineage.indicator_code,
        lineage.caliber_id,
        lineage.period,
        lineage.role,
        part.county_code,
        count(*) filter (where fact.is_standard_met) as met_n,
        count(*) filter (where not fact.is_standard_met) as failed_n,
        count(*) as judged_n
    from {{ ref('mart_lineage_term') }} as lineage
    inner join {{ source('declared', 'indicator') }} as indicator
        on lineage.indicator_code = indicator.indicator_code and indicator.shape = 'share_of_areas'
    inner join {{ ref('int_made_of') }} as part
        on
            lineage.indicator_code = part.indicator_code
            and lineage.caliber_id = part.caliber_id
            and lineage.period = part.period
            and lineage.term = 'indicator.' || part.of_code
            and part.relation = 'meets'
    inner join {{ ref('fct_indicator') }} as fact
        on
            part.of_code = fact.indicator_code
            and part.of_caliber_id = fact.caliber_id
            and part.of_period = fact.period
            and part.county_code = fact.area_code
    group by lineage.indicator_code, lineage.caliber_id, lineage.period, lineage.role, part.county_code
),

role_sum as (
    {% for role in figure_terms() %}
        select
            indicator_code,
            caliber_id,
            period,
            part_period,
            county_code,
            '{{ role }}' as role,
            {{ role }} as term_sum
        from {{ ref('int_part') }}
        where has_terms and {{ role }} is not null
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    role_sum.indicator_code,
    role_sum.caliber_id,
    role_sum.period,
    role_sum.part_period,
    role_sum.county_code,
    role_sum.role,
    role_sum.term_sum,
    traced.traced_sum,
    traced.lacking_n
from role_sum
inner join {{ source('declared', 'indicator') }} as indicator
    on role_sum.indicator_code = indicator.indicator_code and indicator.layer = 0 and indicator.per is null
left join traced
    on
        role_sum.indicator_code = traced.indicator_code
        and role_sum.caliber_id = traced.caliber_id
        and role_sum.period = traced.period
        and role_sum.part_period = traced.part_period
        and role_sum.role = traced.role
        and role_sum.county_code = traced.county_code
where role_sum.term_sum is distinct from coalesce(traced.traced_sum, 0) or coalesce(traced.lacking_n, 0) > 0
union all
select
    role_sum.indicator_code,
    role_sum.caliber_id,
    role_sum.period,
    role_sum.part_period,
    role_sum.county_code,
    role_sum.role,
    role_sum.term_sum,
    judged.met_n as traced_sum,
    judged.failed_n as lacking_n
from role_sum
inner join judged
    on
        role_sum.indicator_code = judged.indicator_code
        and role_sum.caliber_id = judged.caliber_id
        and role_sum.period = judged.period
        and role_sum.county_code = judged.county_code
        and role_sum.role = judged.role
where
    (role_sum.term_sum = 1 and role_sum.role = 'numerator' and judged.met_n < judged.judged_n)
    or (role_sum.term_sum = 0 and role_sum.role = 'numerator' and judged.met_n = judged.judged_n)
