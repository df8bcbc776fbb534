"""The only code that talks to Kubernetes: training jobs, model hosts, traffic, schedules."""
