"""A training as an order in the object store: fetch its inputs, run the program, publish."""
