"""Where the rooms listen that are installed in a cluster. Asks none of them."""

from __future__ import annotations

from pipelines.cluster.profile import ClusterProfile
from pipelines.experiment.rooms import RoomAddresses
from services.servicekit.channel import ChannelSettings


def installed_rooms(profile: ClusterProfile, channel: ChannelSettings) -> RoomAddresses | None:
    """Return the addresses of the installed rooms; None where the profile names none."""
    if profile.rooms is None:
        return None
    return RoomAddresses(**profile.rooms.model_dump(), channel=channel)
