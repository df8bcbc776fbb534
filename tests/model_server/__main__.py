"""The model server as a process: prints its base address and serves until it is ended."""

import argparse
import signal

from tests.model_server.answers import Answer, Reply
from tests.model_server.asked import Asked
from tests.model_server.sample import sample_reply
from tests.model_server.server import ModelServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model_server")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay-seconds", type=float, default=0.0)
    options = parser.parse_args()

    def script(asked: Asked) -> Answer:
        reply = sample_reply(asked)
        assert isinstance(reply, Reply)
        return Reply(reply.text, delay_seconds=options.delay_seconds)

    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    with ModelServer(script, port=options.port) as server:
        print(server.base_url, flush=True)  # noqa: T201 - the caller reads the address here
        signal.sigwait(ending)


if __name__ == "__main__":
    main()
