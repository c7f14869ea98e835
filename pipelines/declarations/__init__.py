"""Indicators as they are declared: YAML families for people, small tables for the machine.

Belongs here: what an indicator may say (`grammar`), the reading and checking of the families (`families`), what a return offers to
indicators (`offers`), the tables that the models read (`tables`), and an indicator as a sentence (`sentence`).
Does not belong here: how a figure is computed (dbt), which members a caliber takes and what the standard is (policy).
"""
