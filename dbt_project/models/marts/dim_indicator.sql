-- Indicators: names, unit, wording of both terms, direction, the ceiling of what is possible, source document.
with subject as (
    select
        indicator_code,
        max(case when dimension = 'stage' then member end) as stage,
        max(case when dimension = 'programme' then member end) as programme
    from {{ source('declared', 'indicator_subject') }}
    group by indicator_code
)

select
    indicator.indicator_code,
    indicator.indicator_name,
    indicator.indicator_name_en,
    indicator.shape,
    indicator.unit,
    indicator.factor,
    indicator.numerator_wording,
    indicator.denominator_wording,
    indicator.direction,
    indicator.anchor_return as return_code,
    indicator.caliber_kind,
    subject.stage,
    subject.programme,
    indicator.ceiling,
    indicator.source_document,
    indicator.sort_order
from {{ source('declared', 'indicator') }} as indicator
left join subject on indicator.indicator_code = subject.indicator_code
order by indicator.sort_order, indicator.indicator_code
