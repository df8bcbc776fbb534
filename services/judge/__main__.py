"""Starts the judge room: settings to rubrics to server."""

import sys
from functools import partial

from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc

from services.judge.rubric import agentic_ledger, by_name
from services.judge.service import JudgeService
from services.judge.settings import JudgeSettings
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(JudgeSettings)
    service = JudgeService(by_name([agentic_ledger()]))
    binding = ServiceBinding(
        full_name=judge_service_pb2.DESCRIPTOR.services_by_name["JudgeService"].full_name,
        add=partial(judge_service_pb2_grpc.add_JudgeServiceServicer_to_server, service),
    )
    return run(settings, room="judge", services=[binding])


if __name__ == "__main__":
    sys.exit(main())
