"""The `xianbao` command: thin words around the same assets and functions that the daemon runs."""
