"""A real HTTP server that speaks S3 and checks credentials."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3  # type: ignore[import-untyped]

from services.servicekit.storage.settings import StoreSettings

ANYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
}

PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address=sys.argv[1], port=int(sys.argv[2]), verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
server._thread.join()
"""


VARIABLES = {"INITIAL_NO_AUTH_ACTION_COUNT": "3"}
"""Calls that need no signature: those that make the user. Every later one must be signed by it."""


@dataclass
class S3Server:
    """Where it listens and who may use it."""

    endpoint: str
    access_key: str
    secret_key: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def settings(self, **changes: Any) -> StoreSettings:
        values = {
            "kind": "s3",
            "endpoint": self.endpoint,
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "secure": False,
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
            endpoint_url=f"http://{self.endpoint}",
            region_name="us-east-1",
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )


@contextmanager
def started_s3_server() -> Iterator[S3Server]:
    # A process of its own, because moto reads the variables when it is imported.
    environment = {**os.environ, **VARIABLES}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "127.0.0.1", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield with_user(f"127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


def with_user(endpoint: str) -> S3Server:
    """Make the one user of a server that was just started."""
    iam = S3Server(endpoint, "anybody", "anything").client("iam")
    iam.create_user(UserName="teachwhy")
    iam.put_user_policy(
        UserName="teachwhy", PolicyName="anything", PolicyDocument=json.dumps(ANYTHING)
    )
    key = iam.create_access_key(UserName="teachwhy")["AccessKey"]
    return S3Server(endpoint, key["AccessKeyId"], key["SecretAccessKey"])
