"""Runs compiled pipelines of experiments with Kubeflow's own local runner, one after another.

    .venv-pipeline/bin/python -m tests.cluster.pipeline_run FOLDER EXPERIMENT...

Every component is a process of its own, as a container would be.
"""

from __future__ import annotations

import sys
from pathlib import Path

from kfp import components, local

from pipelines.cluster.pipeline.experiment_pipeline import compile_pipeline, experiment_pipeline
from pipelines.experiment.bundle import read_bundle


def main(folder: Path, experiments: list[Path]) -> None:
    """Compile each experiment, read the file that came of it, and run that."""
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder / "root"),
        raise_on_error=True,
    )
    for experiment in experiments:
        compiled = folder / f"{experiment.stem}.pipeline.yaml"
        pipeline = experiment_pipeline(
            read_bundle(experiment), name=experiment.stem, profile=None, parts=2, retries=0
        )
        compile_pipeline(pipeline, compiled)
        components.load_component_from_file(str(compiled))()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
