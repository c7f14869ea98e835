-- An indicator that speaks of what policy does not know, or a component of pay that no model takes in, would drop out
-- quietly; each row returned names one. What policy says within itself is checked before it is landed.
select 'indicator of an unknown stage or kind: ' || indicator_code as contradiction
from {{ ref('indicators') }}
where
    (stage is not null and stage not in (select known.stage from {{ source('policy', 'stages') }} as known))
    or caliber_kind not in (select known.caliber_kind from {{ source('policy', 'calibers') }} as known)
    or zero_denominator not in ('error', 'not_applicable')
union all
select 'pay component that no return has: ' || component
from {{ source('policy', 'pay_components') }}
where not list_contains({{ pay_components() }}, component)
