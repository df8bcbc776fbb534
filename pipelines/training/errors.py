"""What can be wrong with a training that was asked for. Knows neither torch nor the loop.

TrainingError
|-- SpecInvalid          a field of the spec holds a value that is not allowed
|-- DataUnusable         a shard or an example cannot be trained on, or there are too few
|-- StartUnusable        the model or the tokenizer to start from does not fit
`-- OutputUnusable       the output directory belongs to another training
"""


class TrainingError(Exception):
    """A failure that the caller can repair; the message says where and how."""


class SpecInvalid(TrainingError):
    """A field of the spec holds a value that is not allowed."""


class DataUnusable(TrainingError):
    """A shard or an example cannot be trained on, or there are too few of them."""


class StartUnusable(TrainingError):
    """The model or the tokenizer to start from is unusable."""


class OutputUnusable(TrainingError):
    """The output directory belongs to another training, or another process uses it."""
