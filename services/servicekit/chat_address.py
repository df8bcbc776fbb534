"""Addresses with a place for the model's name. Knows no HTTP.

A host that serves one model at its own name, as KServe does, is reached through a template:
"http://{model}-predictor.models.svc.cluster.local/openai/v1". Only a DNS label may fill it, so
that no request can point a service at another host, port or path.
"""

import hashlib
import re

PLACE = "{model}"

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_LONGEST = 46
_DIGEST_DIGITS = 10


def has_place(address: str) -> bool:
    """Whether the address is a template."""
    return PLACE in address


def check_address(address: str) -> str:
    """Return the address, a template or not.

    Raises:
        ValueError: it has braces other than those of "{model}".
    """
    rest = address.replace(PLACE, "")
    if "{" in rest or "}" in rest:
        raise ValueError('the only braces that an address may have are "{model}"')
    return address


def address_of(address: str, model: str) -> str:
    """Fill a template with the name of a model.

    Raises:
        ValueError: the name is no DNS label.
    """
    if not _LABEL.fullmatch(model):
        raise ValueError(
            "must be 1 to 63 lower-case letters, digits and inner '-', since it becomes a part of "
            f"the host's address, got {model[:80]!r}"
        )
    return address.replace(PLACE, host_label(model))


def host_label(model: str) -> str:
    """Return what stands for a model in an address: its name, or a short form of a long one.

    Systems that serve a model under its name derive longer names from it, "-predictor" and
    "isvc." for example, which must be labels of at most 63 characters again.

    >>> host_label("arm-80k-s0-0123456789ab")
    'arm-80k-s0-0123456789ab'
    """
    if len(model) <= _LONGEST:
        return model
    digest = hashlib.sha256(model.encode()).hexdigest()[:_DIGEST_DIGITS]
    return f"{model[: _LONGEST - _DIGEST_DIGITS - 1].rstrip('-')}-{digest}"
