-- Standards: what an indicator is held against, in which years, where, and by which document. Of the places that this
-- city lies in, and of its own.
with place as (
    select
        county_code as scope_code,
        arg_max(county_name, valid_from) as scope_name
    from {{ source('control', 'county') }}
    group by county_code
    union distinct
    select
        city_code as scope_code,
        city_name as scope_name
    from {{ source('control', 'county') }}
    union distinct
    select
        province_code as scope_code,
        province_name as scope_name
    from {{ source('control', 'county') }}
    union distinct
    select
        'CN' as scope_code,
        '全国' as scope_name
)

select
    standards.indicator_code,
    standards.level as standard_level,
    standards.scope_code,
    place.scope_name,
    coalesce(standards.unit_dimension, '') as unit_dimension,
    coalesce(standards.unit_member, '') as unit_member,
    standards.year_from,
    standards.year_to,
    standards.comparison,
    standards.value as standard,
    standards.judged_at,
    standards.document_number,
    standards.document_title,
    standards.issuer,
    standards.document_date,
    standards.is_sample,
    standards.remark
from {{ source('policy', 'standards') }} as standards
inner join place on standards.scope_code = place.scope_code
order by
    standards.indicator_code, standards.level, standards.scope_code, standards.unit_dimension, standards.unit_member,
    standards.year_from
