"""Grading of texts by a language model: rubrics, prompts, replies and the one way to ask."""
