"""One experiment: its file, its steps, their outputs and the report."""
