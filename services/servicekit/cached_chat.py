"""A chat model that pays for no reply twice. Knows no host.

Whatever the host answers is kept: an empty reply, a refusal or a filtered one is paid for like any
other, and asking the same again would be paying again. Who wants another answer asks with another
seed. A call that fails is not kept.
"""

from collections.abc import Callable

from services.servicekit.chat import ChatModel, ChatReply, ChatRequest, ModelRef
from services.servicekit.reply_cache import ReplyCache, reply_key
from services.servicekit.spending import SpendingLimitReached

_MOST_KEYS = 256


class CachedChatModel:
    """Answers from the cache, and asks the model for what nobody asked before.

    Equal requests on their way share one call, across all models on the same cache.
    """

    def __init__(
        self,
        model: ChatModel,
        cache: ReplyCache,
        *,
        variant_of: Callable[[ModelRef], str] | None = None,
    ) -> None:
        """Stand before this model.

        Args:
            model: Is asked for what the cache does not have.
            cache: Keeps the replies.
            variant_of: What else shapes a target's replies and is not in the request, for example
                a digest of the fields that the endpoint's settings add to each body.
        """
        self._model = model
        self._cache = cache
        self._variant_of = variant_of
        # With the requests, so that no other one can get the identity of one of them.
        self._keys: dict[int, tuple[ChatRequest, str]] = {}

    def key(self, request: ChatRequest) -> str:
        """Return the key under which the cache has the reply.

        It costs a digest of all messages; for a request that was just replied to it is known.
        """
        known = self._keys.pop(id(request), None)
        return self._digest(request) if known is None else known[1]

    async def reply(self, request: ChatRequest) -> ChatReply:
        """Return the next turn.

        Raises:
            StoreUnavailable: the store was never reached, or too many replies wait for it.
            ServiceError: whatever the model raises.
        """
        key = self.key(request)
        self._remember(request, key)
        flights = self._cache.flights
        while True:
            flight = flights.get(key)
            is_own = False
            if flight is None:
                found = await self._cache.find(key)
                if found is not None:
                    return found
                # Somebody may have begun the call while the cache looked for it.
                flight = flights.get(key)
            if flight is None:
                flight, is_own = flights.begin(key, lambda: self._ask(key, request)), True
            try:
                return await flights.landed(flight)
            except SpendingLimitReached:
                # Another job's limit says nothing about ours.
                if is_own:
                    raise

    def _digest(self, request: ChatRequest) -> str:
        variant = self._variant_of(request.target) if self._variant_of else ""
        return reply_key(request, variant)

    def _remember(self, request: ChatRequest, key: str) -> None:
        self._keys[id(request)] = (request, key)
        if len(self._keys) > _MOST_KEYS:
            del self._keys[next(iter(self._keys))]

    async def _ask(self, key: str, request: ChatRequest) -> ChatReply:
        reply = await self._model.reply(request)
        await self._cache.keep(key, reply)
        return reply
