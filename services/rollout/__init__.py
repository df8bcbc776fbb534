"""The rollout room: plays models as agents in scenarios with executed tools."""
