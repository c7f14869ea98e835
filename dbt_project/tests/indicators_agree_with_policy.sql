-- A component of pay that no return has would drop out of every sum quietly; each row returned names one.
select 'pay component that no return has: ' || component as contradiction
from {{ source('policy', 'pay_components') }}
where component not in ({% for component in pay_components() %}'{{ component }}'{{ ', ' if not loop.last }}{% endfor %})
