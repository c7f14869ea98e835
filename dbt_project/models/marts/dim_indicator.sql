-- Indicators: names, unit, wording of both terms, direction, the ceiling of what is possible, source document.
select
    indicator_code,
    indicator_name,
    indicator_name_en,
    unit,
    factor,
    numerator_wording,
    denominator_wording,
    direction,
    return_code,
    caliber_kind,
    stage,
    programme,
    ceiling,
    source_document,
    sort_order
from {{ ref('indicators') }}
order by sort_order, indicator_code
