-- Monthly standards of subsidies by scope (the city, a county, or the counties of a hardship category), programme and
-- tier, with the days on which they hold and the document.
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
)

select
    tiers.scope_code,
    coalesce(place.scope_name, '艰苦边远地区' || replace(tiers.scope_code, 'hardship:', '')) as scope_name,
    tiers.programme,
    tiers.tier,
    tiers.remoteness_rank,
    tiers.yuan_per_month,
    tiers.valid_from,
    tiers.valid_to,
    tiers.document_number,
    tiers.document_title,
    tiers.issuer,
    tiers.document_date,
    tiers.is_sample,
    tiers.remark
from {{ source('policy', 'subsidy_tiers') }} as tiers
left join place on tiers.scope_code = place.scope_code
where place.scope_code is not null or tiers.scope_code like 'hardship:%'
order by tiers.scope_code, tiers.programme, tiers.tier, tiers.valid_from
