{#
    Tables and views are replaced where they stand, in the transaction of the model: one statement makes the relation, one
    looks at what came out, one describes it. The adapter's own way (an intermediate name, a backup, two planned queries for
    the contract, renames and drops) costs a model three times as much, and nobody reads these databases meanwhile.

    The contract is held against the relation as it was made: names, order and types of the columns.
#}
{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
    {% set target = this.incorporate(type='table') %}
    {% do drop_unless(target, 'table') %}
    {% call statement('main') %}
        create or replace table {{ target }} as ({{ compiled_code }})
    {% endcall %}
    {% do finish_relation(target) %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{% materialization view, adapter='duckdb', supported_languages=['sql'] %}
    {% set target = this.incorporate(type='view') %}
    {% do drop_unless(target, 'view') %}
    {% call statement('main') %}
        create or replace view {{ target }} as ({{ compiled_code }})
    {% endcall %}
    {% do finish_relation(target) %}
    {{ return({'relations': [target]}) }}
{% endmaterialization %}

{# What was built as the other kind of relation by an earlier state of the project is in the way. #}
{% macro drop_unless(target, kind) %}
    {% set existing = load_cached_relation(target) %}
    {% if existing is not none and existing.type != kind %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
{% endmacro %}

{# Hold the contract, then write comments and NOT NULL, all in the transaction of the model. #}
{% macro finish_relation(target) %}
    {% if config.get('contract').enforced %}
        {% do hold_contract(target) %}
    {% endif %}
    {% set statements = [] %}
    {% if config.persist_relation_docs() and model.description %}
        {% do statements.append(
            'comment on ' ~ target.type ~ ' ' ~ target ~ ' is ' ~ duckdb_escape_comment(model.description)
        ) %}
    {% endif %}
    {% for column in model.columns.values() %}
        {% if config.persist_column_docs() and column.description %}
            {% do statements.append(
                'comment on column ' ~ target ~ '."' ~ column.name ~ '" is ' ~ duckdb_escape_comment(column.description)
            ) %}
        {% endif %}
        {% for constraint in column.constraints if constraint.type == 'not_null' and target.type == 'table' %}
            {% do statements.append('alter table ' ~ target ~ ' alter column "' ~ column.name ~ '" set not null') %}
        {% endfor %}
    {% endfor %}
    {% if statements %}
        {% do run_query(statements | join(';\n')) %}
    {% endif %}
    {{ adapter.commit() }}
{% endmacro %}

{% macro hold_contract(target) %}
    {% set made = run_query(
        "select column_name, lower(replace(data_type, ' ', '')) from duckdb_columns() where database_name = '"
        ~ target.database ~ "' and schema_name = '" ~ target.schema ~ "' and table_name = '" ~ target.identifier
        ~ "' order by column_index"
    ) %}
    {% set found = [] %}
    {% for row in made.rows %}{% do found.append(row[0] ~ ' ' ~ row[1]) %}{% endfor %}
    {% set declared = [] %}
    {% for column in model.columns.values() %}
        {% do declared.append(column.name ~ ' ' ~ (column.data_type | lower | replace(' ', ''))) %}
    {% endfor %}
    {% if (found | sort) != (declared | sort) %}
        {% do exceptions.raise_compiler_error(
            target.identifier ~ ' breaks its contract. Made and not declared: '
            ~ (found | reject('in', declared) | join(', ') or 'none') ~ '. Declared and not made: '
            ~ (declared | reject('in', found) | join(', ') or 'none') ~ '.'
        ) %}
    {% endif %}
{% endmacro %}
