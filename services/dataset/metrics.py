"""Every metric of the dataset room."""

from collections.abc import Callable

from prometheus_client import Counter

from services.dataset.example import Example

EXAMPLES = Counter(
    "teachwhy_dataset_examples_total", "Examples handed to a stream, by recipe.", ["recipe"]
)
TOKENS = Counter(
    "teachwhy_dataset_tokens_total", "Tokens of those examples, by recipe.", ["recipe"]
)


def example_counter(recipe: str) -> Callable[[Example], None]:
    """Return what counts the examples of one recipe, its labels looked up once."""
    examples, tokens = EXAMPLES.labels(recipe=recipe), TOKENS.labels(recipe=recipe)

    def count(example: Example) -> None:
        examples.inc()
        tokens.inc(example.num_tokens)

    return count
