"""Starts the serving room: settings to server."""

import sys

from services.servicekit.settings import settings_or_exit
from services.serving.server import run
from services.serving.settings import ServingSettings


def main() -> int:
    """Serve until told to stop; return the exit code."""
    return run(settings_or_exit(ServingSettings))


if __name__ == "__main__":
    sys.exit(main())
