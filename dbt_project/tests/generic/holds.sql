{#
    Named conditions that every row must meet; a failing row comes back under the name of the condition it breaks.
    A condition that is null fails, so a rule cannot pass for want of an answer.
#}
{% test holds(model, conditions) %}
    {% for name, condition in conditions.items() %}
        select '{{ name }}' as broken_condition, rows_of_model.*
        from {{ model }} as rows_of_model
        where not coalesce({{ condition }}, false)
        {{ 'union all' if not loop.last }}
    {% endfor %}
{% endtest %}
