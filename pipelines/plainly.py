"""What every command does: read its file, and say a fault a person can mend in one message."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import grpc

from pipelines.cluster.faults import ClusterFault
from pipelines.cluster.predictor import NotServable
from pipelines.cluster.profile_file import ProfileFileError
from pipelines.cluster.runner_pod import NoRunner
from pipelines.cluster.schedule import ScheduleNotUsable
from pipelines.experiment.audit import DatasetNotPublished
from pipelines.experiment.bundle import named_files
from pipelines.experiment.episode_store import NoSuchEpisode
from pipelines.experiment.export import ExportRefused
from pipelines.experiment.hosting import HostingFailed
from pipelines.experiment.judging import EpisodesNotJudged
from pipelines.experiment.launcher import TrainingFailed
from pipelines.experiment.local_services import ServiceFailed
from pipelines.experiment.occasions import OccasionNotUsable, resolved
from pipelines.experiment.panel_file import PanelNotReadable
from pipelines.experiment.places import RunsFolderBusy
from pipelines.experiment.play import ModelNotEvaluated
from pipelines.experiment.rejudge import NothingToRejudge
from pipelines.experiment.report_files import ReportNotReadable
from pipelines.experiment.revisions import ExperimentImpossible, LoadedExperiment
from pipelines.experiment.single_step import StepNotPossible
from pipelines.experiment.spec_file import ExperimentFileError, load_experiment, read_beside
from pipelines.experiment.standing import ServicesStanding
from pipelines.experiment.trace import NothingToTrace
from pipelines.experiment.write_dataset import DatasetNotWritten
from pipelines.model_folder import ModelNotImportable
from services.servicekit.channel import error_details
from services.servicekit.disk_faults import disk_fault
from services.servicekit.errors import ServiceError

Result = TypeVar("Result")

EXPECTED = (
    ClusterFault,
    DatasetNotPublished,
    DatasetNotWritten,
    EpisodesNotJudged,
    ExperimentFileError,
    ExperimentImpossible,
    ExportRefused,
    HostingFailed,
    ModelNotEvaluated,
    ModelNotImportable,
    NoSuchEpisode,
    NoRunner,
    NotServable,
    NothingToRejudge,
    NothingToTrace,
    OccasionNotUsable,
    PanelNotReadable,
    ProfileFileError,
    ReportNotReadable,
    RunsFolderBusy,
    ScheduleNotUsable,
    ServiceError,
    ServiceFailed,
    ServicesStanding,
    StepNotPossible,
    TrainingFailed,
)
"""Faults whose message is all a person needs; anything else shows its traceback."""


def load_file(path: Path, *, occasion: str = "") -> LoadedExperiment:
    """Read an experiment and the files it names; "today" is the date as an occasion."""
    experiment = load_experiment(path)
    names = named_files(experiment).items()
    texts = {field: read_beside(path, field, name) for field, name in names}
    return LoadedExperiment(
        experiment=experiment,
        chat_template=next((texts[field] for field in texts if field.startswith("base.")), ""),
        constitution=texts.get("author.constitution.file", ""),
        occasion=resolved(occasion),
    )


def awaited(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` to its end, plainly."""
    return plainly(lambda: asyncio.run(work))


def plainly(work: Callable[[], Result]) -> Result:
    """Do ``work``; a fault a person can mend is one message and exit status 1."""
    try:
        return work()
    except EXPECTED as error:
        refuse(str(error))
    except grpc.aio.AioRpcError as error:
        details = error_details(error)
        refuse(f"a service answered {details.code}: {details.message}")
    except OSError as error:
        if (fault := disk_fault(error)) is None:
            raise
        refuse(f"{error.filename}: {fault}" if error.filename else fault)
    except KeyboardInterrupt:
        refuse("stopped; the same command continues where it was")


def refuse(message: str) -> NoReturn:
    """Say why not, and end with exit status 1."""
    sys.stderr.write(f"{message}\n")
    raise SystemExit(1)
