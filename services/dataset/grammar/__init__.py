"""The grammar author: recipes that the micro-world's grammar writes."""
