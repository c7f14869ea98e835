{#
    What each measure of an indicator is made of, by the return that its catalogue row names: the county terms on its four
    sides, the returns that give numerator and denominator, and whether quarters and months add up to a year (yuan and
    months do; the same teachers and schools, reported every quarter, do not). The one place where a measure is delivered:
    a test holds the catalogue of indicators, the words of distances and the lineage against it. A measure that is not here
    has no terms; it never gets another's.
#}
{% macro measures() -%}
    {%- set pupils_and_people = {'numerator_return': 'enrolment', 'denominator_return': 'population'} -%}
    {%- set both_pays = {'numerator_return': 'teacher_pay', 'denominator_return': 'civil_servant_pay'} -%}
    {%- set teachers = {'numerator_return': 'teacher_pay', 'denominator_return': 'teacher_pay'} -%}
    {%- set servants = {'numerator_return': 'civil_servant_pay', 'denominator_return': 'civil_servant_pay'} -%}
    {%- set subsidies = {'numerator_return': 'rural_subsidy', 'denominator_return': 'rural_subsidy'} -%}
    {%- set of_schools = {'numerator_return': 'rural_subsidy', 'denominator_return': 'school'} -%}
    {%- set of_payrolls = {'numerator_return': 'rural_subsidy', 'denominator_return': 'teacher_pay'} -%}
    {%- set delivered = {
        'enrolment': {
            'gross': dict(
                numerator='enrolment.enrolled_n', denominator='population.population_n', **pupils_and_people
            ),
            'net': dict(
                numerator='enrolment.of_age_n', denominator='population.population_n', **pupils_and_people
            ),
            'gross_female': dict(
                numerator='enrolment.female_n', denominator='population.female_n', **pupils_and_people
            ),
            'gross_male': dict(numerator='enrolment.male_n', denominator='population.male_n', **pupils_and_people),
            'gender_parity': dict(
                numerator='enrolment.female_n', numerator_base='population.female_n',
                denominator='enrolment.male_n', denominator_base='population.male_n', **pupils_and_people
            ),
        },
        'teacher_pay': {
            'ratio': dict(
                numerator='pay.teacher_pay_yuan', numerator_base='pay.teachers',
                denominator='pay.civil_servant_pay_yuan', denominator_base='pay.civil_servants', **both_pays
            ),
            'teacher_average': dict(numerator='pay.teacher_pay_yuan', denominator='pay.teachers', **teachers),
            'compliant_counties': dict(
                numerator='judged.is_compliant_n', denominator='judged.is_judged_n', **both_pays
            ),
        },
        'civil_servant_pay': {
            'civil_servant_average': dict(
                numerator='pay.civil_servant_pay_yuan', denominator='pay.civil_servants', **servants
            ),
        },
        'rural_subsidy': {
            'paid_share': dict(
                numerator='subsidy.paid_yuan', denominator='subsidy.due_yuan', adds_up_over_a_year=true, **subsidies
            ),
            'teachers_paid_share': dict(
                numerator='subsidy.teachers_paid_n', denominator='subsidy.teachers_entitled_n', **subsidies
            ),
            'teacher_coverage': dict(
                numerator='subsidy.rural_teachers_paid_n', denominator='subsidy.rural_teachers_n', **of_payrolls
            ),
            'school_coverage': dict(
                numerator='subsidy.rural_schools_covered_n', denominator='subsidy.rural_schools_n', **of_schools
            ),
            'paid_monthly_average': dict(
                numerator='subsidy.paid_yuan', denominator='subsidy.paid_teacher_months_n', adds_up_over_a_year=true,
                **subsidies
            ),
            'standard_monthly_average': dict(
                numerator='subsidy.due_recomputed_yuan', denominator='subsidy.entitled_teacher_months_n',
                adds_up_over_a_year=true, **subsidies
            ),
        },
    } -%}
    {%- for return_code, declared in plain_returns().items() -%}
        {%- set of_return = {} -%}
        {%- for name, sides in declared.measures.items() -%}
            {#- Terms, words and lineage go by the measure's name alone. -#}
            {%- for others in delivered.values() if name in others -%}
                {{ exceptions.raise_compiler_error(
                    'plain_returns: ' ~ return_code ~ ' names a measure ' ~ name ~ ' that another return has'
                ) }}
            {%- endfor -%}
            {%- do of_return.update({name: dict(
                numerator='plain.' ~ sides.numerator, denominator='plain.' ~ sides.denominator,
                numerator_return=return_code, denominator_return=return_code
            )}) -%}
            {%- if sides.adds_up_over_a_year -%}{%- do of_return[name].update(adds_up_over_a_year=true) -%}{%- endif -%}
        {%- endfor -%}
        {%- do delivered.update({return_code: of_return}) -%}
    {%- endfor -%}
    {{ return(delivered) }}
{%- endmacro %}
