-- Whether what an indicator goes by under a caliber (the caliber, what it takes in, groups of members such as official
-- ages) has a sample in it, which the bureau is to replace by a document of its own; of indicators of indicators
-- whether theirs has.
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
),

grouped as (
    select distinct indicator_term.indicator_code
    from {{ source('declared', 'indicator_term') }} as indicator_term
    inner join {{ source('declared', 'term_filter') }} as term_filter
        on indicator_term.term = term_filter.term and term_filter.source = 'group'
    inner join {{ source('policy', 'member_groups') }} as groups
        on
            term_filter.dimension = groups.dimension
            and term_filter.value = groups.member_group
            and groups.is_sample
),

made_of_sample as (
    select distinct made.indicator_code
    from {{ source('declared', 'indicator_of') }} as made
    inner join grouped on made.of_code = grouped.indicator_code
)

select
    indicator.indicator_code,
    calibers.caliber_id,
    sample.caliber_id is not null
    or grouped.indicator_code is not null
    or made_of_sample.indicator_code is not null as policy_is_sample
from {{ source('declared', 'indicator') }} as indicator
inner join {{ ref('int_caliber') }} as calibers
    on coalesce(indicator.caliber_kind, 'as_reported') = calibers.caliber_kind
left join sample on calibers.caliber_id = sample.caliber_id
left join grouped on indicator.indicator_code = grouped.indicator_code
left join made_of_sample on indicator.indicator_code = made_of_sample.indicator_code
