"""Starts the judge room: settings to rubrics and judge model to server."""

import sys
from functools import partial

from teachwhy.judge.v1 import judge_service_pb2, judge_service_pb2_grpc

from services.judge.grading.convert import GradeRequestReader
from services.judge.grading.grader import TextGrader
from services.judge.grading.rubric_file import shipped_rubrics
from services.judge.judge_model import JudgeModel
from services.judge.rubric import agentic_ledger, by_name
from services.judge.service import JudgeService
from services.judge.settings import JudgeSettings
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(JudgeSettings)
    model = JudgeModel(settings.endpoints, store=settings.store, cache_folder=settings.cache_folder)
    rubrics = by_name([agentic_ledger()])
    text_rubrics = {rubric.name: rubric for rubric in shipped_rubrics()}
    reader = GradeRequestReader(text_rubrics, episode_rubrics=rubrics, endpoints=settings.endpoints)
    grader = TextGrader(model, model.watch, max_concurrency=settings.max_concurrency)
    service = JudgeService(rubrics, text_rubrics, grader, reader)
    binding = ServiceBinding(
        full_name=judge_service_pb2.DESCRIPTOR.services_by_name["JudgeService"].full_name,
        add=partial(judge_service_pb2_grpc.add_JudgeServiceServicer_to_server, service),
    )
    return run(settings, room="judge", services=[binding], resources=[model])


if __name__ == "__main__":
    sys.exit(main())
