"""The controller of a Gateway: takes HTTPRoutes or refuses them, and says so."""

from contextlib import suppress

from tests.cluster.fake_kubernetes.api_objects import ApiFault, Json, Resource, now
from tests.cluster.fake_kubernetes.controller import Controller

HTTP_ROUTES = Resource("gateway.networking.k8s.io", "v1", "httproutes")


class GatewayController(Controller):
    """Writes the status of every HTTPRoute, generation by generation."""

    refusal = ""
    """Why routes are refused from now on; empty: they are taken."""

    def reconcile(self) -> None:
        for route in self.registry.select(HTTP_ROUTES):
            with suppress(ApiFault):  # it changed meanwhile
                self._reconcile(route)

    def _reconcile(self, route: Json) -> None:
        metadata = route["metadata"]
        told = [
            condition["observedGeneration"]
            for parent in (route.get("status") or {}).get("parents", ())
            for condition in parent["conditions"]
        ]
        if metadata["generation"] in told:
            return
        parents = [
            {
                "parentRef": ref,
                "controllerName": "example.com/gateway-controller",
                "conditions": self._conditions(metadata["generation"]),
            }
            for ref in route["spec"]["parentRefs"]
        ]
        self.registry.change(
            HTTP_ROUTES,
            metadata["namespace"],
            metadata["name"],
            lambda body: {**body, "status": {"parents": parents}},
            status=True,
        )

    def _conditions(self, generation: int) -> list[Json]:
        accepted: Json = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""}
        if self.refusal:
            accepted |= {"status": "False", "reason": "NotAllowed", "message": self.refusal}
        resolved = {"type": "ResolvedRefs", "status": "True", "reason": "ResolvedRefs"}
        when = {"observedGeneration": generation, "lastTransitionTime": now()}
        return [{**accepted, **when}, {**resolved, "message": "", **when}]
