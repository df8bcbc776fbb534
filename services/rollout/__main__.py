"""Starts the rollout room: settings to chat model and suites to server."""

import sys
from functools import partial

from teachwhy.rollout.v1 import rollout_service_pb2, rollout_service_pb2_grpc

from services.rollout.microworld_suites import microworld_suites
from services.rollout.player import Player
from services.rollout.service import RolloutService
from services.rollout.settings import RolloutSettings
from services.rollout.suites import Suites
from services.servicekit.chat_endpoints import EndpointChatModel
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(RolloutSettings)
    model = EndpointChatModel(settings.endpoints)
    player = Player(model, max_concurrency=settings.max_concurrency)
    service = RolloutService(Suites(microworld_suites()), player, tuple(settings.endpoints))
    binding = ServiceBinding(
        full_name=rollout_service_pb2.DESCRIPTOR.services_by_name["RolloutService"].full_name,
        add=partial(rollout_service_pb2_grpc.add_RolloutServiceServicer_to_server, service),
    )
    return run(settings, room="rollout", services=[binding], resources=[model])


if __name__ == "__main__":
    sys.exit(main())
