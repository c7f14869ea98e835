"""Indicators as they are declared: YAML families for people, small tables for the machine.

grammar     what a family may say
families    reading and checking families, expanded
offers      what a return offers to indicators: the part `analysis` of its definition
formulas    small formulas over a return's columns
known       what policy offers to them: groups of members, calibers
tables      the tables that the models read
declared    all of it, for a home
sentence    an indicator as a sentence

Does not belong here: how a figure is computed (dbt), which members a caliber takes and what the standard is (policy).
"""
