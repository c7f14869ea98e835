-- At which place of an atom's name the member of each dimension stands.
{{ config(materialized='view') }}
select
    signed.return_code,
    signed.signature,
    dimension.dimension,
    cast(
        1 + row_number() over (partition by signed.return_code, signed.signature order by dimension.ordinal) as integer
    ) as place
from (
    select distinct
        return_code,
        signature
    from {{ ref('int_term') }}
) as signed
inner join {{ source('declared', 'return_dimension') }} as dimension
    on
        signed.return_code = dimension.return_code
        and ',' || signed.signature || ',' like '%,' || dimension.dimension || ',%'
