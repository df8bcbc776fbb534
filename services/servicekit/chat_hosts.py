"""The hosts behind one endpoint whose address depends on the model. Knows no settings.

Each model has its own host: its own pool, and its own limit of what it bears.
"""

from collections.abc import Callable
from dataclasses import dataclass

from services.servicekit.chat import ChatReply, ChatRequest
from services.servicekit.chat_address import address_of
from services.servicekit.chat_host import ModelHost
from services.servicekit.errors import InvalidField


@dataclass(slots=True, kw_only=True)
class _Open:
    """A host with an open pool."""

    host: ModelHost
    asking: int = 0
    """Requests that wait for it now."""


class ModelHosts:
    """Asks the host of the model that a request names. Make it inside its event loop."""

    def __init__(self, base_url: str, open_host: Callable[[str], ModelHost], most: int) -> None:
        """Open hosts as they are needed.

        Args:
            base_url: template with a place for the model.
            open_host: opens the host at an address.
            most: hosts beyond this number are closed, the least recently asked first; one that
                is being asked never is.
        """
        self._base_url = base_url
        self._open_host = open_host
        self._most = most
        self._open: dict[str, _Open] = {}

    @property
    def limit(self) -> int:
        """Requests that may be on their way at once now to the host that bears most; 0 if none."""
        return max((each.host.limit for each in self._open.values()), default=0)

    async def close(self) -> None:
        """Close every pool."""
        hosts, self._open = self._open, {}
        for each in hosts.values():
            await each.host.close()

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Return the next turn, after retries where they can help.

        Raises:
            InvalidField: no host can have the model's name.
            ModelUnavailable: the host did not give a usable answer in all attempts.
            ModelRejectedRequest: the host refused the request.
        """
        model = request.target.model
        known = self._open.pop(model, None)
        each = known or self._opened(model)
        self._open[model] = each  # the last one is the one asked most recently
        each.asking += 1
        try:
            if known is None:
                await self._close_idle()
            return await each.host.reply(request)
        finally:
            each.asking -= 1

    def _opened(self, model: str) -> _Open:
        try:
            address = address_of(self._base_url, model)
        except ValueError as error:
            raise InvalidField.at("target.model", str(error)) from error
        return _Open(host=self._open_host(address))

    async def _close_idle(self) -> None:
        beyond = len(self._open) - self._most
        idle = [model for model, each in self._open.items() if not each.asking]
        for model in idle[: max(0, beyond)]:
            await self._open.pop(model).host.close()
