"""The warehouse of a home: the private build database, what is landed in it, the rules across filings, and dbt. `raw/` alone rebuilds it."""
