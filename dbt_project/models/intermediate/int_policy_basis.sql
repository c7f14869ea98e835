-- Whether what an indicator goes by under a caliber (the caliber, what it takes in, the ages of its stage) has a sample
-- in it, which the bureau is to replace by a document of its own.
{{ config(materialized='view') }}
with sample as (
    select caliber_id
    from {{ source('policy', 'calibers') }}
    where is_sample
    union distinct
    select caliber_id
    from {{ source('policy', 'caliber_members') }}
    where is_sample
    union distinct
    select caliber_id
    from {{ source('policy', 'pay_components') }}
    where is_sample
)

select
    indicators.indicator_code,
    calibers.caliber_id,
    sample.caliber_id is not null or coalesce(stages.is_sample, false) as policy_is_sample
from {{ ref('indicators') }} as indicators
inner join {{ source('policy', 'calibers') }} as calibers on indicators.caliber_kind = calibers.caliber_kind
left join sample on calibers.caliber_id = sample.caliber_id
left join {{ source('policy', 'stages') }} as stages on indicators.stage = stages.stage
