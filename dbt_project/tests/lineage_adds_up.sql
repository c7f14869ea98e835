-- The cells of every county term add up to the term, in every role of every indicator, and none of them is lacking.
with cell_sum as (
    select
        term,
        county_code,
        period as source_period,
        sum(contribution) as contribution,
        count(*) filter (where missing_code not in ('not_applicable', 'included_elsewhere')) as lacking_n
    from {{ ref('mart_lineage_cell') }}
    group by all
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
    inner join cell_sum on lineage.term = cell_sum.term and lineage.source_period = cell_sum.source_period
    group by all
),

term as (
    {% for role in ('numerator', 'numerator_base', 'denominator', 'denominator_base') %}
        select
            indicator_code,
            caliber_id,
            period,
            part_period,
            county_code,
            '{{ role }}' as role,
            {{ role }} as term_sum
        from {{ ref('int_indicator_term') }}
        where has_both_terms and {{ role }} is not null and indicator_code != 'teacher_pay_compliant_counties'
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    term.*,
    traced.traced_sum,
    traced.lacking_n
from term
left join traced
    on
        term.indicator_code = traced.indicator_code
        and term.caliber_id = traced.caliber_id
        and term.period = traced.period
        and term.part_period = traced.part_period
        and term.role = traced.role
        and term.county_code = traced.county_code
where term.term_sum is distinct from coalesce(traced.traced_sum, 0) or coalesce(traced.lacking_n, 0) > 0
