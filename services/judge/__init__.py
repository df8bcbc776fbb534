"""The judge room: says of episodes what the agent did."""
