"""Publishing: what a release is, the published file and its presentation, tracing, proving and comparing releases."""
