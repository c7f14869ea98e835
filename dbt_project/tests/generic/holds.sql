{#
    Named conditions that every row must meet, counted in one look at the table; a broken one comes back under its name.
    A condition that is null fails, so a rule cannot pass for want of an answer. `grain`: the key of the table, one row each
    and none of it null, as in unique_grain.
#}
{% test holds(model, conditions, grain=none) %}
    select broken_condition, rows_n
    from (
        select
            unnest([{% for name in conditions %}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %}]) as broken_condition,
            unnest([
                {% for condition in conditions.values() %}
                    count(*) filter (where not coalesce({{ condition }}, false)){{ ', ' if not loop.last }}
                {% endfor %}
            ]) as rows_n
        from {{ model }}
    ) as counted
    where rows_n > 0
    {% if grain %}
        union all
        select
            'one row for each {{ grain | join(', ') }}' as broken_condition,
            count(*) as rows_n
        from (
            select 1
            from {{ model }}
            group by {{ grain | join(', ') }}
            having count(*) > 1 {% for column in grain %} or {{ column }} is null {% endfor %}
        ) as doubled
        having count(*) > 0
    {% endif %}
{% endtest %}
