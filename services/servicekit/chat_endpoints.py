"""Chat models behind the endpoints that the settings name, whichever protocol they speak."""

import asyncio
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    JsonValue,
    model_validator,
)

from services.servicekit.chat import ChatReply, ChatRequest, ModelRef
from services.servicekit.chat_address import check_address, has_place
from services.servicekit.chat_anthropic_convert import reply_from_anthropic, request_to_anthropic
from services.servicekit.chat_dialect import Dialect, Patience
from services.servicekit.chat_openai_convert import reply_from_openai, request_to_openai
from services.servicekit.chat_price import Price
from services.servicekit.credentials import read_secret
from services.servicekit.errors import ResourceNotFound

if TYPE_CHECKING:
    from services.servicekit.chat_host import ModelHost
    from services.servicekit.chat_hosts import ModelHosts

__all__ = ["ChatEndpoint", "EndpointChatModel", "Price"]

ProtocolName: TypeAlias = Literal["openai", "anthropic"]

# What a record says was asked must be what was asked.
_RESERVED_FIELDS = frozenset({"model", "messages", "system", "tools", "stream"})

_DIALECTS: dict[ProtocolName, Dialect] = {
    "openai": Dialect(
        path="/chat/completions",
        key_header="authorization",
        key_prefix="Bearer ",
        headers={},
        write=request_to_openai,
        read=reply_from_openai,
    ),
    "anthropic": Dialect(
        path="/messages",
        key_header="x-api-key",
        key_prefix="",
        headers={"anthropic-version": "2023-06-01"},
        write=request_to_anthropic,
        read=reply_from_anthropic,
    ),
}


class ChatEndpoint(BaseModel):
    """A named model host. A room nests a mapping of them in its settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    base_url: Annotated[str, AfterValidator(check_address)] = Field(pattern=r"^https?://[^\s?#]+$")
    """Address before "/chat/completions" or "/messages", for example
    "http://127.0.0.1:8080/openai/v1" or "https://api.anthropic.com/v1". "{model}" in it stands for
    the model's name, which must be a DNS label then and is shortened to 46 characters:
    "http://{model}-predictor.models.svc.cluster.local/openai/v1"."""

    protocol: ProtocolName = "openai"
    """What the host speaks: OpenAI's chat completions, or Anthropic's messages."""

    api_key_file: FilePath | None = None
    """File with the key; sent as bearer token, or as x-api-key to Anthropic."""

    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the host calls the most tokens of a reply; OpenAI's reasoning models want the other."""

    extra_body: Mapping[str, JsonValue] = Field(default={})
    """Fields added to each request's body; null leaves one of ours out. It pins the provider of a
    router, for example {"provider": {"order": ["x"], "allow_fallbacks": false}}. "model",
    "messages", "system", "tools" and "stream" cannot be changed."""

    usd_per_million_input_tokens: float | None = Field(default=None, ge=0.0)
    """Price of what goes in; without prices no cost is known."""

    usd_per_million_output_tokens: float | None = Field(default=None, ge=0.0)
    """Price of what comes out; given with the other or not at all."""

    timeout_seconds: float = Field(default=60.0, gt=0.0, le=3600.0)
    """Longest time of one attempt, from its sending to the last byte of the answer."""

    max_connections: int = Field(default=64, ge=1, le=10_000)
    """Requests on their way at once; more wait their turn. A host that answers 429, 503 or 529
    halves the number, and a window of successes raises it by one, up to this."""

    max_models: int = Field(default=64, ge=1, le=10_000)
    """Models whose connections are kept open where the address has "{model}"; each has its own
    max_connections. Beyond the number those asked least recently are closed."""

    max_attempts: int = Field(default=5, ge=1, le=20)
    """Attempts of one request, the first included."""

    max_rate_limited_seconds: float = Field(default=120.0, ge=0.0, le=86_400.0)
    """How long after a request's first 429 its further ones do not count as attempts; the
    Retry-After of any request is waited for by all requests of the endpoint."""

    max_retry_after_seconds: float = Field(default=60.0, ge=0.0, le=3600.0)
    """Longest Retry-After that is waited for; a host that asks for more counts as unavailable."""

    max_answer_bytes: int = Field(default=4 * 2**20, ge=2**10, le=2**28)
    """Largest answer, unpacked. A larger one is not read to its end and not asked for again; the
    host counts as unavailable for this request."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        reserved = _RESERVED_FIELDS & self.extra_body.keys()
        if reserved:
            raise ValueError(f"extra_body cannot change {', '.join(sorted(reserved))}")
        prices = (self.usd_per_million_input_tokens, self.usd_per_million_output_tokens)
        if (prices[0] is None) != (prices[1] is None):
            raise ValueError("give both prices, usd_per_million_input_tokens and _output_, or none")
        return self

    @property
    def price(self) -> Price | None:
        """The price list, where the settings have one."""
        taken, given = self.usd_per_million_input_tokens, self.usd_per_million_output_tokens
        if taken is None or given is None:
            return None
        return Price(usd_per_million_input_tokens=taken, usd_per_million_output_tokens=given)


class EndpointChatModel:
    """Asks the hosts by name. Enter it before the first reply.

    Each endpoint has a pool, a limit that adapts to what the host bears, deadlines and retries.
    """

    def __init__(self, endpoints: Mapping[str, ChatEndpoint]) -> None:
        """Know these endpoints by name."""
        self._endpoints = dict(endpoints)
        self._prices = {name: each.price for name, each in endpoints.items()}
        self._hosts: dict[str, ModelHost | ModelHosts] = {}
        self._keys: dict[str, str] | None = None

    async def __aenter__(self) -> Self:
        """Read the keys; a pool is opened when its endpoint is first asked.

        Raises:
            InvalidSettings: an API key file is empty or cannot be read.
        """
        self._keys = {name: _key(each) for name, each in self._endpoints.items()}
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Close the connection pools."""
        hosts, self._hosts, self._keys = self._hosts, {}, None
        for host in hosts.values():
            await host.close()

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Return the next turn, after retries where they can help.

        Raises:
            ModelUnavailable: the host did not give a usable answer in all attempts.
            ModelRejectedRequest: the host refused the request.
            ResourceNotFound: the settings name no such endpoint.
            InvalidField: the address depends on the model, and no host can have its name.
        """
        host = self._hosts.get(request.target.endpoint)
        if host is None:
            self._check(request.target)
            host = await self._open(request.target.endpoint)
        return await host.reply(request)

    def price(self, target: ModelRef) -> Price | None:
        """Return what the target's tokens cost; None where the settings do not say.

        Raises:
            ResourceNotFound: the settings name no such endpoint.
        """
        self._check(target)
        return self._prices[target.endpoint]

    def limit(self, endpoint: str) -> int:
        """Return how many requests may be on their way to a host of the endpoint at once now."""
        host = self._hosts.get(endpoint)
        return (host.limit if host else 0) or self._endpoints[endpoint].max_connections

    async def _open(self, name: str) -> "ModelHost | ModelHosts":
        # Beside the loop: the HTTP library takes 10 MiB, and a fifth of a second in which nobody
        # else would be answered. A room pays that once it asks a model, and not before.
        await asyncio.to_thread(import_module, "services.servicekit.chat_host")
        if self._keys is None:
            raise RuntimeError("EndpointChatModel must be entered before its first reply")
        if name not in self._hosts:  # somebody else may have opened it meanwhile
            self._hosts[name] = _hosts(name, self._endpoints[name], self._keys[name])
        return self._hosts[name]

    def _check(self, target: ModelRef) -> None:
        if target.endpoint not in self._endpoints:
            raise ResourceNotFound("endpoint", target.endpoint, known=tuple(self._endpoints))


def _key(endpoint: ChatEndpoint) -> str:
    return read_secret(endpoint.api_key_file) if endpoint.api_key_file else ""


def _hosts(name: str, endpoint: ChatEndpoint, key: str) -> "ModelHost | ModelHosts":
    if not has_place(endpoint.base_url):
        return _host(name, endpoint, key, endpoint.base_url)
    from services.servicekit.chat_hosts import ModelHosts  # noqa: PLC0415 - see _open

    return ModelHosts(endpoint.base_url, partial(_host, name, endpoint, key), endpoint.max_models)


def _host(name: str, endpoint: ChatEndpoint, key: str, address: str) -> "ModelHost":
    from services.servicekit.chat_host import ModelHost  # noqa: PLC0415 - see _open

    return ModelHost(
        name,
        address,
        _DIALECTS[endpoint.protocol],
        Patience(
            timeout_seconds=endpoint.timeout_seconds,
            max_attempts=endpoint.max_attempts,
            max_retry_after_seconds=endpoint.max_retry_after_seconds,
            max_rate_limited_seconds=endpoint.max_rate_limited_seconds,
            max_answer_bytes=endpoint.max_answer_bytes,
        ),
        key=key,
        max_connections=endpoint.max_connections,
        output_limit_field=endpoint.output_limit_field,
        extra_body=endpoint.extra_body,
    )
