-- An indicator that nothing computes fails here, instead of dropping out quietly. Each row returned says what is lacking.
with expected as (
    select indicator.*
    from {{ source('declared', 'indicator') }} as indicator
    where
        indicator.anchor_return in (select expected.return_code from {{ ref('stg_expected_filing') }} as expected)
        and indicator.caliber_kind in (select calibers.caliber_kind from {{ ref('int_caliber') }} as calibers)
)

select 'no figure of indicator ' || indicator_code as lacking
from expected
where indicator_code not in (select fact.indicator_code from {{ ref('fct_indicator') }} as fact)
union all
-- Without lineage nobody could walk the figure back to its cells.
select distinct 'no lineage of ' || role_term.indicator_code || ': ' || role_term.role as lacking
from {{ ref('int_role_term') }} as role_term
left join {{ ref('mart_lineage_term') }} as lineage
    on role_term.indicator_code = lineage.indicator_code and role_term.role = lineage.role
where role_term.role not in ('needs', 'exists') and role_term.value != 0 and lineage.indicator_code is null
union all
select distinct 'no lineage of ' || made.indicator_code as lacking
from {{ ref('int_made_of') }} as made
left join {{ ref('mart_lineage_term') }} as lineage on made.indicator_code = lineage.indicator_code
where lineage.indicator_code is null
