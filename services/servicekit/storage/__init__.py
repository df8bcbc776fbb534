"""Object storage behind one small port, with a directory and an S3 adapter."""
