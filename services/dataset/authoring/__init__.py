"""Authoring: what recipes write items with when language models are the authors."""
