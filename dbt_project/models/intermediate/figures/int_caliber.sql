-- The calibers, and the one of indicators that have nothing to choose.
{{ config(materialized='view') }}
select
    caliber_id,
    caliber_kind,
    caliber_name,
    caliber_name_en,
    is_default,
    valid_from,
    valid_to,
    document_number,
    document_title,
    is_sample,
    remark
from {{ source('policy', 'calibers') }}
union all
select
    'as_reported' as caliber_id,
    'as_reported' as caliber_kind,
    '按报表填报' as caliber_name,
    'As reported' as caliber_name_en,
    true as is_default,
    cast('1900-01-01' as date) as valid_from,
    cast(null as date) as valid_to,
    cast(null as string) as document_number,
    cast(null as string) as document_title,
    false as is_sample,
    '没有可选的口径' as remark
