"""Xianbao (县报): from county returns to municipal indicator marts.

Rooms, in the order the data walk through them:

- `municipality`, `periods`, `home`: what is configured, and where things lie;
- `returns`: the declared statistical forms, one data file a version;
- `intake`: pulling bytes from county sources into `raw/`;
- `screening`: from bytes to typed rows, findings and a verdict;
- `documents`: what a county opens: templates, annotated workbooks, receipts;
- `bundle`, `rule_files`: the rules as one file, by which a county checks its returns before it sends them;
- `warehouse`: the private build database, dbt, and the published file;
- `orchestration`: Dagster assets, jobs, sensors and schedules, thin over the above;
- `sample`: a synthetic municipality to run all of it on;
- `cli`: the `xianbao` command, which runs the same assets.
"""
