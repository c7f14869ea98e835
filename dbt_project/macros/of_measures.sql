{# The four sides of (numerator ÷ numerator base) ÷ (denominator ÷ denominator base). #}
{% macro figure_terms() -%}
    {{ return(['numerator', 'numerator_base', 'denominator', 'denominator_base']) }}
{%- endmacro %}

{# The names of the measures that have a key (`numerator_base`, `adds_up_over_a_year`), as an SQL list. #}
{% macro measures_with(key) -%}
    {%- set found = [] -%}
    {%- for of_return in measures().values() -%}
        {%- for name, sides in of_return.items() if sides[key] -%}
            {%- do found.append("'" ~ name ~ "'") -%}
        {%- endfor -%}
    {%- endfor -%}
    ({{ found | join(', ') }})
{%- endmacro %}

{#
    One key of the measures of some returns, an expression or (is_text) a word; null where a measure lacks it or nothing
    delivers it.
#}
{% macro of_measure(measure, key, return_codes, is_text=false) -%}
    {%- set delivered = [] -%}
    {%- for return_code in return_codes -%}
        {%- for name, sides in measures()[return_code].items() if sides[key] is defined -%}
            {%- set value = "'" ~ sides[key] ~ "'" if is_text else sides[key] -%}
            {%- do delivered.append("when '" ~ name ~ "' then " ~ value) -%}
        {%- endfor -%}
    {%- endfor -%}
    case {{ measure }} when '' then null {{ delivered | join(' ') }} end
{%- endmacro %}

{#
    By measure: what one more of its numerator is counted in, and how a distance from the standard is said; # is the
    amount.
#}
{% macro gap_words() -%}
    {%- set words = {
        'gross': ('人', '尚差 # 名在校生', '超出 # 名在校生'),
        'gross_female': ('人', '尚差 # 名在校女生', '超出 # 名在校女生'),
        'gross_male': ('人', '尚差 # 名在校男生', '超出 # 名在校男生'),
        'net': ('人', '尚差 # 名学龄在校生', '超出 # 名学龄在校生'),
        'gender_parity': ('人', '尚差 # 名在校女生', '超出 # 名在校女生'),
        'ratio': ('元', '补足差额需 #/年', '超出 #/年'),
        'teacher_average': ('元', '补足差额需 #/年', '超出 #/年'),
        'civil_servant_average': ('元', '补足差额需 #/年', '超出 #/年'),
        'compliant_counties': ('个', '尚差 # 个县（市、区）', '超出 # 个县（市、区）'),
        'paid_share': ('元', '实发金额尚差 #', '实发金额超出 #'),
        'teachers_paid_share': ('人', '尚有 # 名应发教师未发', '超出 # 名教师'),
        'teacher_coverage': ('人', '尚差 # 名乡村教师', '超出 # 名乡村教师'),
        'school_coverage': ('所', '尚差 # 所乡村学校', '超出 # 所乡村学校'),
        'paid_monthly_average': ('元', '实发金额尚差 #', '实发金额超出 #'),
        'standard_monthly_average': ('元', '按标准应发的金额尚差 #', '按标准应发的金额超出 #'),
    } -%}
    {%- for declared in plain_returns().values() -%}
        {%- for name, sides in declared.measures.items() -%}
            {%- do words.update({name: sides.gap}) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(words) }}
{%- endmacro %}

{# How the members of a caliber are introduced, by dimension. #}
{% macro dimension_words() -%}
    {{ return({
        'population_register': '人口',
        'rural_location_code': '城乡分类',
        'rural_school_type': '办学类型',
        'rural_school_organiser': '举办者',
        'rural_teacher_stage': '教师学段',
        'teacher_stage': '学段',
        'teacher_organiser': '举办者',
        'civil_servant_category': '人员',
    }) }}
{%- endmacro %}
