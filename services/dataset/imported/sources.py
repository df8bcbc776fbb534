"""The sources of imports that the settings name. Knows no row."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from services.dataset.imported.dataset import Source
from services.dataset.imported.files import RowFile, file_digest, open_rows
from services.servicekit.digest import digest_of
from services.servicekit.errors import InvalidField, NotConfigured, ServiceError
from services.servicekit.storage.port import ObjectStore

STORE_PREFIX = "store:"

_FIELD = "spec.chat_import.source"


class Sources:
    """Files by the names that requests use."""

    def __init__(
        self, places: Mapping[str, str], open_store: Callable[[], ObjectStore], folder: Path
    ) -> None:
        """Know these places: paths, or "store:" and a key, whose object is copied to the folder."""
        self._places = dict(places)
        self._open_store = open_store
        self._folder = folder
        self._opened: dict[tuple[str, str], RowFile] = {}

    async def open(self, name: str) -> Source:
        """Open a source.

        Raises:
            InvalidField: the settings name no such source, or it holds no row.
            NotConfigured: the settings name none at all.
            ObjectNotFound: the store does not hold it.
            StoredObjectCorrupt: it is neither JSONL nor Parquet.
        """
        if not self._places:
            raise NotConfigured("DATASET_SOURCES", "imported-chats reads what it names")
        if name not in self._places:
            known = ", ".join(sorted(self._places))
            raise InvalidField.at(_FIELD, f'the settings name no source "{name}"; sources: {known}')
        source = await asyncio.to_thread(self._open, name)
        if not source.num_rows:
            raise InvalidField.at(_FIELD, f'source "{name}" holds no row')
        return source

    def _open(self, name: str) -> Source:
        place = self._places[name]
        try:
            path = self._fetched(place) if place.startswith(STORE_PREFIX) else Path(place)
            digest = file_digest(path)
            rows = self._opened.get((name, digest))
            if rows is None:
                rows = self._opened[name, digest] = open_rows(path)
        except OSError as error:
            raise SourceUnreadable(name, str(error)) from error
        return Source(name=name, file_name=path.name, digest=digest, rows=rows)

    def _fetched(self, place: str) -> Path:
        """Copy an object once; what lies in the store under a key does not change."""
        key = place.removeprefix(STORE_PREFIX)
        path = self._folder / digest_of(key)[:16] / key.rpartition("/")[2]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open_store().fetch_file(key, path)
        return path


class SourceUnreadable(ServiceError):
    """A file that the settings name cannot be read."""

    code = "FAILED_PRECONDITION"
    reason = "NOT_CONFIGURED"

    def __init__(self, name: str, detail: str) -> None:
        """Name the source and say what is wrong with its file."""
        super().__init__(
            f'source "{name}" cannot be read: {detail}', metadata={"setting": "DATASET_SOURCES"}
        )
