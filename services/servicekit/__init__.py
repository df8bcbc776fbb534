"""What every process needs to be one of our services, and nothing else."""
