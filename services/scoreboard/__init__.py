"""The scoreboard room: keeps evaluations, and says what they prove and what they do not."""
