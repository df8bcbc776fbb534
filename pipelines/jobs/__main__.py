"""python -m pipelines.jobs ORDER_KEY: carries out one training order of the store."""

from __future__ import annotations

import argparse
import sys

from pipelines.jobs.program import carry_out
from pipelines.jobs.settings import JobsSettings
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Carry out the order that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.jobs",
        description="Carry out a training order. Run again after any end, it goes on.",
    )
    parser.add_argument("order", help='key of the order, for example "orders/NAME/order.json"')
    return carry_out(settings_or_exit(JobsSettings), parser.parse_args().order)


if __name__ == "__main__":
    sys.exit(main())
