"""Composition root of the dataset room: `python -m services.dataset`."""

import sys

from teachwhy.dataset.v1 import dataset_service_pb2, dataset_service_pb2_grpc

from services.dataset.recipes import RECIPES
from services.dataset.service import DatasetService
from services.dataset.settings import DatasetSettings
from services.servicekit.server import ServiceBinding, run
from services.servicekit.settings import settings_or_exit


def main() -> int:
    """Serve until told to stop; return the exit code."""
    settings = settings_or_exit(DatasetSettings)
    service = DatasetService(RECIPES)
    descriptor = dataset_service_pb2.DESCRIPTOR.services_by_name["DatasetService"]
    binding = ServiceBinding(
        full_name=descriptor.full_name,
        add=lambda server: dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(
            service, server
        ),
    )
    return run(settings, room="dataset", services=[binding])


if __name__ == "__main__":
    sys.exit(main())
