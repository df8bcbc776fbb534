"""Turns what happens in the room into metrics and log lines."""

from services.servicekit.logs import get_logger
from services.serving import metrics


class Observer:
    """Listens to the computing thread and to the host."""

    def prompts_computed(self, num_rows: int, num_tokens: int) -> None:
        """Count prompts, and the first token that each brings."""
        metrics.PROMPT_TOKENS.inc(num_tokens)
        metrics.COMPLETION_TOKENS.inc(num_rows)

    def step_computed(self, num_rows: int) -> None:
        """Count one token per row."""
        metrics.BATCH_ROWS.observe(num_rows)
        metrics.COMPLETION_TOKENS.inc(num_rows)

    def queued(self, change: int) -> None:
        """Follow the queue."""
        metrics.QUEUED_REQUESTS.inc(change)

    def failed(self, error: BaseException) -> None:
        """Report a model's fault."""
        metrics.GENERATION_FAILURES.inc()
        get_logger().error("generation.failed", exc_info=error)

    def loaded(self, name: str, seconds: float, num_loaded: int) -> None:
        """Report a load."""
        metrics.CHECKPOINT_LOADS.labels("loaded").inc()
        metrics.CHECKPOINT_LOAD_DURATION.observe(seconds)
        metrics.LOADED_CHECKPOINTS.set(num_loaded)
        get_logger().info("checkpoint.loaded", checkpoint=name, seconds=round(seconds, 3))

    def load_failed(self, name: str, error: BaseException) -> None:
        """Report a refused checkpoint."""
        metrics.CHECKPOINT_LOADS.labels("refused").inc()
        get_logger().warning("checkpoint.refused", checkpoint=name, error=str(error))

    def unloaded(self, name: str, num_loaded: int) -> None:
        """Report an unload."""
        metrics.LOADED_CHECKPOINTS.set(num_loaded)
        get_logger().info("checkpoint.unloaded", checkpoint=name)
