"""Stops a stream of which hardly anything is kept, before it spends its budget on nothing."""

from collections import Counter, deque

from services.dataset.example import Item, Rejection
from services.servicekit.errors import YieldCollapsed

ITEMS_WATCHED = 50
MAX_REJECTED_SHARE = 0.95


class YieldWatch:
    """Watches the last items of a stream."""

    def __init__(self) -> None:
        """Begin with no items seen."""
        self._outcomes: deque[str] = deque(maxlen=ITEMS_WATCHED)
        """The reason of a rejection; empty for an example."""
        self._num_rejected = 0

    def note(self, item: Item) -> None:
        """Note an item.

        Raises:
            YieldCollapsed: more than MAX_REJECTED_SHARE of the last ITEMS_WATCHED were rejected.
        """
        if len(self._outcomes) == ITEMS_WATCHED:
            self._num_rejected -= bool(self._outcomes[0])
        reason = item.reason.name if isinstance(item, Rejection) else ""
        self._outcomes.append(reason)
        self._num_rejected += bool(reason)
        if self._num_rejected > MAX_REJECTED_SHARE * ITEMS_WATCHED:
            most_frequent = Counter(filter(None, self._outcomes)).most_common(1)[0][0]
            raise YieldCollapsed(self._num_rejected, len(self._outcomes), most_frequent)
