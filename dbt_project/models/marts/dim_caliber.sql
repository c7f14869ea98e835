-- Calibers: the effective-dated versions of a definition, with the document each rests on and what it takes in.
with member as (
    select
        caliber_id,
        string_agg(
            case dimension
                {% for dimension, word in dimension_words().items() %}
                    when '{{ dimension }}' then '{{ word }}：'
                {% endfor %}
                else dimension || '：'
            end || member,
            '；' order by dimension, member
        ) as members
    from {{ source('policy', 'caliber_members') }}
    group by caliber_id
),

component as (
    select
        caliber_id,
        string_agg(component_name, '、' order by component) filter (where is_included) as included,
        string_agg(component_name, '、' order by component) filter (where not is_included) as excluded
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
from {{ source('policy', 'calibers') }} as calibers
left join member on calibers.caliber_id = member.caliber_id
left join component on calibers.caliber_id = component.caliber_id
order by calibers.caliber_id
