"""python -m pipelines.training SPEC.json --output DIR: the command line."""

import sys

from pipelines.training.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
