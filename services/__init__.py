"""The services and what they share; one folder is one process or one library."""
