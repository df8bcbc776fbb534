"""Every metric of the serving room."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter(
    "teachwhy_serving_requests_total", "Chat requests that ended, by HTTP status code.", ("code",)
)
REQUEST_DURATION = Histogram(
    "teachwhy_serving_request_duration_seconds",
    "Time from a chat request's arrival to the end of its reply.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
BATCH_ROWS = Histogram(
    "teachwhy_serving_batch_rows",
    "Replies that one step advanced together.",
    buckets=(1, 2, 4, 8, 16, 24, 32, 48, 64, 128, 256),
)
QUEUED_REQUESTS = Gauge(
    "teachwhy_serving_queued_requests", "Chat requests that wait to join a batch."
)
PROMPT_TOKENS = Counter("teachwhy_serving_prompt_tokens_total", "Prompt tokens computed.")
COMPLETION_TOKENS = Counter("teachwhy_serving_completion_tokens_total", "Tokens generated.")
GENERATION_FAILURES = Counter(
    "teachwhy_serving_generation_failures_total", "Faults of a model while it computed."
)
LOADED_CHECKPOINTS = Gauge("teachwhy_serving_loaded_checkpoints", "Checkpoints in memory.")
CHECKPOINT_LOADS = Counter(
    "teachwhy_serving_checkpoint_loads_total", "Loads that ended, by outcome.", ("outcome",)
)
CHECKPOINT_LOAD_DURATION = Histogram(
    "teachwhy_serving_checkpoint_load_duration_seconds",
    "Time to fetch, verify and load a checkpoint, waiting for other loads included.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900),
)
