"""Hosts checkpoints behind KServe's protocols and an OpenAI-compatible chat API."""
