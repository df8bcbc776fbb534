"""Prometheus series of one training process."""

from prometheus_client import Counter, Gauge

LOSS = Gauge("teachwhy_training_loss", "Loss of the newest step, in nats per token.")
TOKENS = Counter("teachwhy_training_tokens", "Tokens trained on by this process.")
PLANNED_TOKENS = Gauge("teachwhy_training_planned_tokens", "Tokens of the whole training.")
DONE_TOKENS = Gauge("teachwhy_training_done_tokens", "Tokens trained on, also before a resume.")
TOKENS_PER_SECOND = Gauge("teachwhy_training_tokens_per_second", "Tokens a second, this process.")
CHECKPOINTS = Counter("teachwhy_training_checkpoints", "Checkpoints written by this process.")
