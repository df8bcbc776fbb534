"""Bearer tokens, from the caller's file to the server's."""

from pathlib import Path

import grpc
import pytest

from services.servicekit.channel import ChannelSettings, error_details
from tests.servicekit.echo import ALL_KINDS, ask, echo_server


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("correct-horse\n")
    return path


@pytest.mark.parametrize("kind", ALL_KINDS)
async def test_the_right_token_opens_every_kind_of_call(kind: str, token_file: Path) -> None:
    sending = ChannelSettings(token_file=token_file)

    async with echo_server(token_file=token_file, channel=sending) as running:
        assert await ask(running, kind, b"why") == b"why"


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("sent", [None, "Bearer wrong", "correct-horse", "Bearer correct-horse2"])
async def test_no_other_token_opens_a_call(kind: str, sent: str | None, token_file: Path) -> None:
    metadata = (
        () if sent is None else (("authorization", sent.encode("ascii", "replace").decode()),)
    )

    async with echo_server(token_file=token_file) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(running, kind, b"why", metadata=metadata)

    details = error_details(caught.value)
    assert details.code == "UNAUTHENTICATED"
    assert details.reason == "TOKEN_REJECTED"
