"""A real HTTP server that speaks S3, over TLS where asked to, and checks credentials."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]

from services.servicekit.storage.settings import StoreSettings
from tests.servicekit.certificates import identity

ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}

PROGRAM = """
import sys
from moto.moto_server import werkzeug_app as moto
from werkzeug.serving import make_server
server = make_server(
    sys.argv[1],
    int(sys.argv[2]),
    moto.DomainDispatcherApplication(moto.create_backend_app),
    threaded=True,
    request_handler=moto.MotoRequestHandler,
    ssl_context=tuple(sys.argv[3:]) or None,
)
print(server.server_port, flush=True)
server.serve_forever()
"""
"""Arguments: address, port, and to speak TLS the files of a certificate and its key."""

VARIABLES = {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}
"""Calls that need no signature: those that make the user. Every later one must be signed by it."""


@dataclass
class S3Server:
    """Where it listens and who may use it."""

    endpoint: str
    access_key: str
    secret_key: str
    ca_file: Path | None = None
    """Authority of the server; None: it speaks no TLS."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def settings(self, **changes: Any) -> StoreSettings:
        values = {
            "kind": "s3",
            "endpoint": self.endpoint,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "secure": self.ca_file is not None,
            "ca_file": self.ca_file,
            "max_attempts": 2,
            "timeout_seconds": 10.0,
        }
        return StoreSettings.model_validate({**values, **changes})

    def new_bucket(self) -> str:
        name = f"bucket-{next(self._numbers)}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"{'https' if self.ca_file else 'http'}://{self.endpoint}",
            verify=self.ca_file and str(self.ca_file),
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )


@contextmanager
def started_s3_server(tls_folder: Path | None = None) -> Iterator[S3Server]:
    """A running server; one of a private authority where a folder for its certificate is given."""
    ca_file: Path | None = None
    certificate: tuple[Path, ...] = ()
    if tls_folder is not None:
        authority = identity("authority")
        ca_file, _ = authority.write(tls_folder, "ca")
        certificate = identity("server", authority).write(tls_folder, "server")
    # A process of its own, because moto reads the variables when it is imported.
    environment = {**os.environ, **VARIABLES}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "127.0.0.1", "0", *certificate],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield with_user(f"127.0.0.1:{int(process.stdout.readline())}", ca_file)
        finally:
            process.kill()


def with_user(endpoint: str, ca_file: Path | None = None) -> S3Server:
    """Make the one user of a server that was just started."""
    iam = S3Server(endpoint, "anybody", "anything", ca_file).client("iam")
    iam.create_user(UserName="teachwhy")
    iam.put_user_policy(
        UserName="teachwhy", PolicyName="anything", PolicyDocument=json.dumps(ANYTHING)
    )
    key = iam.create_access_key(UserName="teachwhy")["AccessKey"]
    return S3Server(endpoint, key["AccessKeyId"], key["SecretAccessKey"], ca_file)
