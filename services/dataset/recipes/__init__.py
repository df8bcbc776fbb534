"""Recipes that language models carry out, one module each."""
