"""Files made, or found, to break a pipeline: through the inbox of a test municipality, or straight through the reader."""
