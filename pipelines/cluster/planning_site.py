"""A cluster as far as a plan needs it: its rooms and its runtime, and none of its credentials."""

from __future__ import annotations

from typing import Self

from pipelines.cluster.inference_service import serving_revision
from pipelines.cluster.installed_rooms import installed_rooms
from pipelines.cluster.profile import ClusterProfile
from pipelines.experiment.local_site import LocalSite
from pipelines.experiment.places import RunPlaces
from pipelines.experiment.rooms import RoomAddresses
from services.servicekit.channel import ChannelSettings


class PlanningSite(LocalSite):
    """Where a run on the cluster of a profile is planned; nothing can be run here.

    The installed rooms are asked, or, where the profile names none, processes beside the plan.
    """

    def __init__(
        self, places: RunPlaces, profile: ClusterProfile, channel: ChannelSettings
    ) -> None:
        """Look for outputs at ``places``.

        Args:
            places: store and scratch.
            profile: the cluster.
            channel: how the installed rooms are reached.
        """
        super().__init__(places)
        self._profile = profile
        self._installed = installed_rooms(profile, channel)

    @property
    def serving_revision(self) -> str:
        """Digest of the runtime of the InferenceServices."""
        return serving_revision(self._profile)

    async def __aenter__(self) -> Self:
        """Start rooms where none are installed."""
        if self._installed is None:
            await super().__aenter__()
        return self

    @property
    def addresses(self) -> RoomAddresses:
        """Where the gRPC rooms listen."""
        return self._installed or super().addresses
