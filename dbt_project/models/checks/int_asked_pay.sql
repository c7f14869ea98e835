-- The rows of both pay returns (XB04, XB05). `member`: the stage or the category of staff by which a caliber counts.
{%- set kept = [
    'return_code', 'county_code', 'period', 'before_period', 'school_year', 'submission_id', 'hardship_category',
    'sheet', 'source_row', 'pay_total_yuan', 'missing_codes',
] %}
select
    {%- for name in kept %}
        {{ name }},
    {%- endfor %}
    {%- for name in pay_components() %}
        {{ name }},
    {%- endfor %}
    teachers_average as heads,
    school_code,
    school_name,
    stage,
    stage as member,
    school_code || '/' || stage as subject,
    school_name || '（' || stage || '）' as row_label
from ({{ asked_rows('teacher_pay') }}) as teacher
union all
select
    {%- for name in kept %}
        {{ name }},
    {%- endfor %}
    {%- for name in pay_components() %}
        {{ name }},
    {%- endfor %}
    civil_servants_average as heads,
    cast(null as string) as school_code,
    cast(null as string) as school_name,
    cast(null as string) as stage,
    staff_category as member,
    staff_category as subject,
    staff_category as row_label
from ({{ asked_rows('civil_servant_pay') }}) as civil_servant
