-- Areas: the counties of the municipality, by validity, and the municipality itself.
select
    county_code as area_code,
    county_name as area_name,
    county_name_en as area_name_en,
    'county' as area_level,
    '县（市、区）' as area_level_name,
    city_code as parent_area_code,
    province_code,
    province_name,
    valid_from,
    valid_to,
    sort_order
from {{ source('control', 'county') }}
union all
select
    city_code as area_code,
    any_value(city_name) as area_name,
    any_value(city_name_en) as area_name_en,
    'city' as area_level,
    '市' as area_level_name,
    any_value(province_code) as parent_area_code,
    any_value(province_code) as province_code,
    any_value(province_name) as province_name,
    min(valid_from) as valid_from,
    cast(null as date) as valid_to,
    0 as sort_order
from {{ source('control', 'county') }}
group by city_code
order by sort_order, area_code, valid_from
