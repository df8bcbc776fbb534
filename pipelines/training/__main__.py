"""python -m pipelines.training SPEC.json --output DIR: the command line."""

import sys

from pipelines.training.command import main
from pipelines.training.process import leave

if __name__ == "__main__":
    leave(main(sys.argv[1:]))
