"""Prometheus series of one training process."""

from prometheus_client import Counter, Gauge, Histogram

LOSS = Gauge("teachwhy_training_loss", "Loss of the newest step, in nats per token.")
TOKENS = Counter("teachwhy_training_tokens", "Tokens trained on by this process.")
PLANNED_TOKENS = Gauge("teachwhy_training_planned_tokens", "Tokens of the whole training.")
DONE_TOKENS = Gauge("teachwhy_training_done_tokens", "Tokens trained on, also before a resume.")
TOKENS_PER_SECOND = Gauge("teachwhy_training_tokens_per_second", "Tokens a second, this process.")
CHECKPOINTS = Counter("teachwhy_training_checkpoints", "Checkpoints written by this process.")
STEP_SECONDS = Histogram(
    "teachwhy_training_step_seconds",
    "Time from the end of one step to the end of the next.",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100),
)
GRADIENT_NORM = Gauge(
    "teachwhy_training_gradient_norm", "Norm of all gradients of the newest step, before clipping."
)
LEARNING_RATE = Gauge(
    "teachwhy_training_learning_rate", "Learning rate after the newest step.", ["optimizer"]
)
VALIDATION_LOSS = Gauge(
    "teachwhy_training_validation_loss", "Loss on held-back examples, in nats per token."
)
UTILISATION = Gauge(
    "teachwhy_training_model_flops_utilisation",
    "Share of the devices' peak that the model's operations take; only where the peak is known.",
)
