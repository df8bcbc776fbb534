"""Contamination filters between protobuf and domain."""

from teachwhy.common.v1 import contamination_pb2
from teachwhy.rollout.v1 import rollout_service_pb2

from services.rollout.contamination import (
    DEFAULT_NGRAM_WORDS,
    MAX_NGRAM_WORDS,
    MIN_NGRAM_WORDS,
    ContaminationFilter,
    FilterRequest,
)
from services.servicekit.errors import InvalidField


def filter_request_from_proto(
    request: rollout_service_pb2.GetContaminationFilterRequest,
) -> FilterRequest:
    """Read which filter is wanted.

    Raises:
        InvalidField: n-grams of a length that is not allowed.
    """
    ngram_words = request.ngram_words or DEFAULT_NGRAM_WORDS
    if not MIN_NGRAM_WORDS <= ngram_words <= MAX_NGRAM_WORDS:
        raise InvalidField.at(
            "ngram_words",
            f"must be {MIN_NGRAM_WORDS} to {MAX_NGRAM_WORDS}, or 0 for {DEFAULT_NGRAM_WORDS}, "
            f"got {ngram_words}",
        )
    return FilterRequest(
        suites=frozenset(request.suites),
        world_seed=request.world_seed,
        ngram_words=ngram_words,
    )


def filter_to_proto(made: ContaminationFilter) -> contamination_pb2.ContaminationFilter:
    """Write a filter."""
    return contamination_pb2.ContaminationFilter(
        ngram_words=made.ngram_words,
        ngram_hashes=made.ngram_hashes,
        canaries=made.canaries,
        revision=made.revision,
    )
