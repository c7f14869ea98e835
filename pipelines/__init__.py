"""Xianbao (县报): from county returns to municipal indicator marts.

Rooms, in the order in which the data walk through them; each imports only those before it:

- `municipality`, `periods`, `home`, `decisions`: what is configured and decided, and where things lie;
- `returns`, `rule_files`: the declared statistical forms, one data file a version;
- `workbooks`: the bytes of workbooks, read twice, searched and edited, in a bounded process;
- `declarations`: what indicators are and what a return offers to them;
- `policy`: standards, calibers and tiers as tables in the home, over shipped defaults;
- `intake`: pulling bytes from county sources into `raw/`;
- `screening`: from bytes to typed rows, findings and a verdict;
- `warehouse`: the private build database, the rules across filings, dbt;
- `releases`: publishing, tracing, proving and comparing what was published;
- `answers`, `templates`: what a county opens: annotated workbooks, receipts, official workbooks;
- `exports`: the published file in other forms: files, public tables, PostgreSQL;
- `bundle`: the rules as one file, by which a county checks its returns before it sends them;
- `operations`: upkeep, quarantine, trying rules before they are applied;
- `orchestration`: Dagster assets, jobs, sensors and schedules, thin over the above;
- `sample`: a synthetic municipality to run all of it on;
- `cli`: the `xianbao` command, which runs the same assets.
"""
