"""Gates: what a dataset as a whole must pass before it may be trained on.

Knows no protobuf. `settings` and `report` are light; the gates themselves load numpy, and are
imported when the first audit starts.
"""
