"""The program that trains one checkpoint from shards of examples, small or large."""
