"""Policy: what the bureau decides or has been told, and every figure goes by; tables as data, in the home.

    tables.yaml           what the tables are: columns, types, codes, rules between rows
    defaults/*.csv        what holds in the whole country, shipped
    <home>/policy/*.csv   what holds here, laid over it
    raw/policy/           every version that was used, by SHA-256

Belongs here: declaring, reading, checking and keeping these tables. What is made of them is a model or a rule: nothing here, nor
anywhere in code, knows a table by its name.
"""
