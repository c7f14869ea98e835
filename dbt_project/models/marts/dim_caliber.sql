-- Calibers: the effective-dated versions of a definition, with the document each rests on and what it takes in.
with label as (
    select
        coalesce(term_filter.value, term_filter.dimension) as dimension,
        max(dimension.label) as label
    from {{ source('declared', 'term_filter') }} as term_filter
    inner join {{ source('declared', 'term') }} as term on term_filter.term = term.term
    inner join {{ source('declared', 'return_dimension') }} as dimension
        on term.return_code = dimension.return_code and term_filter.dimension = dimension.dimension
    where term_filter.source = 'caliber'
    group by coalesce(term_filter.value, term_filter.dimension)
),

member as (
    select
        members.caliber_id,
        {{ text_list(
            "coalesce(label.label, members.dimension) || '：' || members.member", '；', 'members.dimension, members.member'
        ) }} as members
    from {{ source('policy', 'caliber_members') }} as members
    left join label on members.dimension = label.dimension
    group by members.caliber_id
),

component as (
    select
        caliber_id,
        {{ text_list('component_name', '、', 'component', 'is_included') }} as included,
        {{ text_list('component_name', '、', 'component', 'not is_included') }} as excluded
    from {{ source('policy', 'pay_components') }}
    group by caliber_id
)

select
    calibers.caliber_id,
    calibers.caliber_kind,
    calibers.caliber_name,
    calibers.caliber_name_en,
    calibers.is_default,
    calibers.valid_from,
    calibers.valid_to,
    calibers.document_number,
    calibers.document_title,
    calibers.is_sample,
    coalesce(member.members, '')
    || coalesce('；计入：' || component.included, '')
    || coalesce('；不计入：' || component.excluded, '') as scope,
    calibers.remark
from {{ ref('int_caliber') }} as calibers
left join member on calibers.caliber_id = member.caliber_id
left join component on calibers.caliber_id = component.caliber_id
-- The caliber without a choice is shown where an indicator goes by it.
where
    calibers.caliber_kind != 'as_reported'
    or exists (
        select 1 from {{ source('declared', 'indicator') }} as indicator
        where indicator.caliber_kind is null
    )
order by calibers.caliber_id
