-- Components of pay: which of them each caliber of pay counts, and by which document.
select
    caliber_id,
    component,
    component_name,
    is_included,
    document_number,
    document_title,
    issuer,
    document_date,
    is_sample,
    remark
from {{ source('policy', 'pay_components') }}
order by caliber_id, component
