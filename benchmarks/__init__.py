"""Measurements of the product, and of its peers beside it."""
