"""Settings of the object store, and the adapter they choose."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator

from services.servicekit.storage.directory import DirectoryStore
from services.servicekit.storage.port import ObjectStore


class StoreSettings(BaseModel):
    """Where objects live. A room nests it in its own settings, for example as `store`."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    kind: Literal["directory", "s3"] = "directory"
    """A local directory, or a bucket that speaks S3."""

    root: Path = Path("var/store")
    """Directory of kind "directory"; made if it is missing."""

    endpoint: str = Field(default="", pattern=r"^([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])?(:\d+)?$")
    """Host and port of kind "s3", without a scheme, for example "minio:9000"."""

    bucket: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])?$")
    """Bucket of kind "s3"; it must exist."""

    region: str = "us-east-1"
    """Region of the bucket, given so that it need not be asked for."""

    access_key: str = ""
    """Access key; access_key_file wins."""

    access_key_file: FilePath | None = None
    """File with the access key."""

    secret_key: SecretStr = SecretStr("")
    """Secret key; secret_key_file wins."""

    secret_key_file: FilePath | None = None
    """File with the secret key."""

    secure: bool = True
    """Speak HTTPS to the endpoint."""

    ca_file: FilePath | None = None
    """PEM authorities of the endpoint, where the system's do not know it."""

    timeout_seconds: float = Field(default=30.0, gt=0.0, le=3600.0)
    """Longest silence of the endpoint within one attempt."""

    max_attempts: int = Field(default=4, ge=1, le=20)
    """Attempts of one operation, the first included."""

    @model_validator(mode="after")
    def _a_bucket_has_an_endpoint(self) -> Self:
        if self.kind == "s3":
            missing = [name for name in ("endpoint", "bucket") if not getattr(self, name)]
            if missing:
                raise ValueError(f'kind "s3" needs {" and ".join(missing)}')
        return self


def open_store(settings: StoreSettings) -> ObjectStore:
    """Make the store that the settings describe.

    Raises:
        StoreUnavailable: the directory cannot be made, or a key file cannot be read.
    """
    if settings.kind == "directory":
        return DirectoryStore(settings.root)
    # Imported here because minio costs a process that keeps objects in a directory 20 MiB.
    from services.servicekit.storage.s3 import S3Store  # noqa: PLC0415

    return S3Store(settings)
