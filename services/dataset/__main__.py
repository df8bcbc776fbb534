"""Composition root of the dataset room: `python -m services.dataset`."""

import sys
from functools import partial

from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc

from services.dataset.catalogue import RECIPES
from services.dataset.opening import Datasets
from services.dataset.service import DatasetService
from services.dataset.settings import DatasetSettings
from services.dataset.studio import Studio
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(DatasetSettings)
    studio = Studio(settings)
    service = DatasetService(Datasets(RECIPES, studio), studio)
    binding = ServiceBinding(
        full_name=dataset_service_pb2.DESCRIPTOR.services_by_name["DatasetService"].full_name,
        add=partial(dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server, service),
    )
    return run(settings, room="dataset", services=[binding], resources=[studio])


if __name__ == "__main__":
    sys.exit(main())
