"""The warehouse of a home: the private build database, dbt over it, and the published file. `raw/` alone rebuilds all of it."""
