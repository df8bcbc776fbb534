"""The dataset room: turns a constitution into training examples."""
