"""The named peers, each in an environment of its own, never in ours."""
