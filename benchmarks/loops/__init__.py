"""Training loops of others, which run in our environment, on the libraries of our own."""
