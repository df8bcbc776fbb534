"""Settings of the dataset room, read from the environment under DATASET_."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, FilePath
from pydantic_settings import SettingsConfigDict

from services.servicekit.channel import ChannelSettings
from services.servicekit.chat_endpoints import ChatEndpoint
from services.servicekit.settings import ServerSettings
from services.servicekit.storage.settings import StoreSettings


class DatasetSettings(ServerSettings):
    """What an operator may set. The grammar of the micro-world needs nothing beyond the ports."""

    model_config = SettingsConfigDict(
        env_prefix="DATASET_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    port: int = Field(default=50051, ge=0, le=65535)
    """TCP port of gRPC; 0 lets the system choose."""

    metrics_port: int = Field(default=9101, ge=0, le=65535)
    """TCP port of the Prometheus metrics; 0 lets the system choose."""

    endpoints: Mapping[str, ChatEndpoint] = Field(default={})
    """Model hosts by the name that requests use, as a JSON object; language recipes need one.
    Example: {"default": {"base_url": "http://127.0.0.1:8000/v1"}}."""

    store: StoreSettings = Field(default_factory=StoreSettings)
    """Object store of the reply cache, which all replicas share, and of sources in it."""

    cache_folder: Path = Path("var/dataset")
    """Directory for copies of what is read from the store; may be lost at any time."""

    judge: str = Field(default="", pattern=r"^(\S+:\d+)?$")
    """Host and port of the judge room, which filter stages and the quality gate ask; empty where
    there is none. Example: "127.0.0.1:50053"."""

    judge_channel: ChannelSettings = Field(default_factory=ChannelSettings)
    """How the judge room is reached: its authorities, certificate and token."""

    tokenizer_file: FilePath | None = None
    """tokenizer.json that counts tokens of all but the micro-world's texts; without one, four
    bytes of UTF-8 count as a token."""

    sources: Mapping[str, str] = Field(default={})
    """Chats that imported-chats reads, by the name that requests use, as a JSON object: paths of
    files, or "store:" and a key. Example: {"replay": "store:chats/replay.parquet"}."""

    max_concurrency: int = Field(default=64, ge=1, le=10_000)
    """Items in work at once, over all streams of this process."""
