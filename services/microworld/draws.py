"""Seeded draws: everything random in the micro-world comes from a generator made here."""

from random import Random

from services.servicekit.digest import derive_seed


def seeded(*parts: object) -> Random:
    """Return a fresh generator that depends on the parts alone."""
    return Random(derive_seed(*parts))  # noqa: S311  # repeatable on purpose, guards no secret
