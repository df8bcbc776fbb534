"""The micro-world: a small world of actions and principles, told by a regular grammar.

It writes texts and reads calls; it decides no outcome.
"""
