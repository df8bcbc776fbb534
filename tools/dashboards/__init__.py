"""What Grafana shows, one module for each audience: ``python -m tools.dashboards``."""
