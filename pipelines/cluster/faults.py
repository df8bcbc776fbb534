"""What can go wrong between a run and its cluster.

ClusterFault
  NoClusterCredentials   nothing says how to reach a cluster
  ClusterUnreachable     the API server does not answer, or cannot work, for too long
  ClusterRefused         it understood and refuses: no permission, or an object it does not take
  NotOurs                something else has the name
"""

from __future__ import annotations


class ClusterFault(Exception):
    """The cluster cannot be used. The message says which object, what happened, what to do."""


class NoClusterCredentials(ClusterFault):
    """Nothing says how to reach a cluster, or what says it cannot be used."""


class ClusterUnreachable(ClusterFault):
    """The API server did not answer, or could not work, for longer than it is waited for."""


class ClusterRefused(ClusterFault):
    """The API server refuses a request; asking again does not help."""

    def __init__(self, message: str, *, status: int) -> None:
        """Refused with an HTTP ``status``."""
        super().__init__(message)
        self.status = status


class NotOurs(ClusterFault):
    """An object of this name is there that no run made. It is not touched."""
