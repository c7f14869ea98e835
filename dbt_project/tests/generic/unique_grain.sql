{# One row per combination of the key columns, none of them null: one node for keys and grain together. #}
{% test unique_grain(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as rows_n
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1 {% for column in columns %} or {{ column }} is null {% endfor %}
{% endtest %}
