"""From a submission's bytes to typed rows, findings and a verdict. Pure: no Dagster, no warehouse.

In order: `workbooks` (cells), `identify` (which return, county, period), `tabulate` (typed columns), `rules` and
`checks` (what is asked of them, by Great Expectations), `findings`, and `screen`, which strings them together.
`warehouse.checks` asks the rules that need other periods or returns. What is asked of a return stands in `expectations/`, not here.
"""
