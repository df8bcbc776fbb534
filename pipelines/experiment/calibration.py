"""Measure once how often a panel errs, and keep it for every evaluation that asks that panel."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf import json_format
from teachwhy.judge.v1 import calibration_pb2, judge_service_pb2
from teachwhy.scoreboard.v1 import evaluation_pb2

from pipelines.experiment.judging import EpisodesNotJudged, panel_message
from pipelines.experiment.model_faults import model_fault
from pipelines.experiment.rooms import Rooms
from pipelines.experiment.steps import CalibrationStep
from pipelines.outputs import Output

RECORD_FILE = "calibration.binpb"
"""A ``teachwhy.judge.v1.Calibration``; the same as JSON stands beside it."""
JSON_FILE = "calibration.json"


async def calibrate(step: CalibrationStep, output: Output, *, rooms: Rooms) -> None:
    """Have the judge room measure a panel on its labelled episodes; keep what was found.

    Raises:
        EpisodesNotJudged: the host of a judge answers nobody, or refuses everything.
    """
    request = judge_service_pb2.CalibrateJudgeRequest(
        panel=panel_message(step.panel), use_gold_set=True
    )
    try:
        response = await rooms.patiently(
            "judge", lambda: rooms.judge.CalibrateJudge(iter([request]))
        )
    except grpc.aio.AioRpcError as error:
        fault = model_fault(error)
        if fault is None:
            raise
        raise EpisodesNotJudged(
            f"panel: calibration: {fault.message}\nEndpoints are the setting JUDGE_ENDPOINTS; "
            "`calibrate: false` in the panel does without."
        ) from error
    found = response.calibration
    await asyncio.to_thread(_keep, step, output, found)


def _keep(step: CalibrationStep, output: Output, found: calibration_pb2.Calibration) -> None:
    output.publish(
        kind="calibration",
        digest=step.digest,
        parameters={
            "panel": step.panel.model_dump(mode="json"),
            "rubric_revision": found.rubric_revision,
            "episodes_digest": found.episodes_digest,
        },
        inputs={},
        counts={
            "episodes": found.num_episodes,
            "unjudged": found.num_unjudged,
            "false_positives": found.false_positives.num_errors,
            "negatives": found.false_positives.num_trials,
            "false_negatives": found.false_negatives.num_errors,
            "positives": found.false_negatives.num_trials,
        },
        files={
            RECORD_FILE: found.SerializeToString(deterministic=True),
            JSON_FILE: json_format.MessageToJson(
                found, preserving_proto_field_name=True, sort_keys=True
            ).encode(),
        },
    )


def read_calibration(output: Output) -> calibration_pb2.Calibration:
    """Read a complete calibration."""
    return calibration_pb2.Calibration.FromString(output.read(RECORD_FILE))


def judge_errors(found: calibration_pb2.Calibration) -> evaluation_pb2.JudgeErrors:
    """Write what a calibration counted as the scoreboard wants it."""
    return evaluation_pb2.JudgeErrors(
        calibration_digest=found.digest,
        num_negatives=found.false_positives.num_trials,
        num_false_positives=found.false_positives.num_errors,
        num_positives=found.false_negatives.num_trials,
        num_false_negatives=found.false_negatives.num_errors,
    )
