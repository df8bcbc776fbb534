"""Every metric of the rollout room."""

from prometheus_client import Counter

from services.rollout.episode import Episode

EPISODES = Counter(
    "teachwhy_rollout_episodes_total",
    "Episodes played to an end, by suite and by how they ended.",
    ("suite", "state"),
)
CALLS = Counter(
    "teachwhy_rollout_calls_total",
    "Tool calls of agents, by what became of them.",
    ("state",),
)
TOKENS = Counter(
    "teachwhy_rollout_tokens_total",
    "Tokens as model hosts counted them, input and output.",
    ("direction",),
)


def count(episode: Episode) -> None:
    """Count an episode that came to its end."""
    EPISODES.labels(suite=episode.scenario.suite, state=episode.state.value).inc()
    for entry in episode.ledger:
        CALLS.labels(state=entry.execution.state.value).inc()
    TOKENS.labels(direction="input").inc(episode.usage.input_tokens)
    TOKENS.labels(direction="output").inc(episode.usage.output_tokens)
