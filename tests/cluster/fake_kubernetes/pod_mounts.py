"""A container's volumes as folders of this machine, and its paths, ports and variables there."""

import base64
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.cluster.fake_kubernetes.api_objects import (
    CLAIMS,
    CONFIG_MAPS,
    SECRETS,
    ApiFault,
    Json,
    Resource,
)
from tests.cluster.fake_kubernetes.registry import Registry

MEETING_PORT = "pytorchjob-port"
"""Port by which the pods of a job meet; their operator chooses a free one."""


class NotMountable(Exception):
    """A volume, secret or key that a pod names is not there."""


class Place:
    """Where a pod lives on this machine."""

    def __init__(self, folder: Path, claims: Path, registry: Registry, body: Json) -> None:
        """Make the pod's volumes.

        Raises:
            NotMountable: something that it names is missing.
        """
        self._registry = registry
        self._body = body
        self._namespace = str(body["metadata"]["namespace"])
        self._container: Json = body["spec"]["containers"][0]
        self._claims = claims
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        volumes = {
            str(each["name"]): self._made(each) for each in body["spec"].get("volumes") or []
        }
        self._mounts = dict(self._mounted(volumes))
        self.ports = {
            int(port["containerPort"]): free_port()
            for port in self._container.get("ports") or []
            if port.get("name") != MEETING_PORT
        }
        """Ports of this machine by those of the container."""

    def here(self, text: str) -> str:
        """A value in which paths of mounts are those of this machine, and a port is a free one."""
        if text.isdecimal() and int(text) in self.ports:
            return str(self.ports[int(text)])
        if found := re.fullmatch(r"(--[\w-]+=)(\d+)", text):
            return found[1] + self.here(found[2])
        if not self._mounts:
            return text
        longest_first = sorted(self._mounts, key=len, reverse=True)
        paths = "|".join(re.escape(path) for path in longest_first)
        pattern = rf"(?<![\w/.-])({paths})(?=$|[/:,\s\"'])"
        return re.sub(pattern, lambda found: self._mounts[found[1]], text)

    def working_folder(self) -> Path:
        """The container's working directory."""
        folder = self.here(str(self._container.get("workingDir") or "/"))
        if Path(folder).is_relative_to(self.folder):
            return Path(folder)
        root = self.folder / "root"
        root.mkdir(exist_ok=True)
        return root

    def environment(self) -> dict[str, str]:
        """The container's variables, as they are on this machine."""
        values: dict[str, str] = {}
        for source in self._container.get("envFrom") or []:
            values |= self._all_of(source)
        for variable in self._container.get("env") or []:
            text = str(variable.get("value", ""))
            if "valueFrom" in variable:
                text = self._from(variable["valueFrom"])
            values[variable["name"]] = self.here(_expanded(text, values))
        if "/tmp" in self._mounts:
            values.setdefault("TMPDIR", self._mounts["/tmp"])
        return values

    def command(self) -> list[str]:
        """The container's command and arguments, as they are on this machine."""
        values = self.environment()
        words = [*self._container.get("command", []), *self._container.get("args", [])]
        return [self.here(_expanded(str(word), values)) for word in words]

    def _made(self, volume: Json) -> Path:
        folder = self.folder / "volumes" / str(volume["name"])
        if "emptyDir" in volume:
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        if "persistentVolumeClaim" in volume:
            claim = str(volume["persistentVolumeClaim"]["claimName"])
            self._object(CLAIMS, claim)
            shared = self._claims / self._namespace / claim
            shared.mkdir(parents=True, exist_ok=True)
            return shared
        if "secret" in volume or "configMap" in volume:
            source = volume.get("secret") or volume["configMap"]
            resource = SECRETS if "secret" in volume else CONFIG_MAPS
            files = self._data(resource, source.get("secretName") or source["name"])
            folder.mkdir(parents=True, exist_ok=True)
            for key, path in _items(source, files):
                (folder / path).write_bytes(files[key])
            return folder
        raise NotMountable(f"volume {volume['name']!r}: this fake knows no {sorted(volume)}")

    def _mounted(self, volumes: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
        for mount in self._container.get("volumeMounts") or []:
            source = volumes[mount["name"]] / mount.get("subPath", "")
            source.mkdir(parents=True, exist_ok=True)
            yield mount["mountPath"].rstrip("/"), str(source)

    def _from(self, source: Json) -> str:
        if "fieldRef" in source:
            return _field(self._body, source["fieldRef"]["fieldPath"])
        is_secret = "secretKeyRef" in source
        ref = source["secretKeyRef"] if is_secret else source["configMapKeyRef"]
        data = self._data(SECRETS if is_secret else CONFIG_MAPS, ref["name"])
        if ref["key"] not in data:
            raise NotMountable(f"couldn't find key {ref['key']} in {ref['name']}")
        return data[ref["key"]].decode()

    def _all_of(self, source: Json) -> dict[str, str]:
        is_secret = "secretRef" in source
        ref = source["secretRef"] if is_secret else source["configMapRef"]
        data = self._data(SECRETS if is_secret else CONFIG_MAPS, ref["name"])
        return {source.get("prefix", "") + key: value.decode() for key, value in data.items()}

    def _data(self, resource: Resource, name: str) -> dict[str, bytes]:
        body = self._object(resource, name)
        plain = {key: str(value).encode() for key, value in (body.get("stringData") or {}).items()}
        data = body.get("data") or {}
        if resource == SECRETS:
            return {key: base64.b64decode(value) for key, value in data.items()} | plain
        return {key: str(value).encode() for key, value in data.items()}

    def _object(self, resource: Resource, name: str) -> Json:
        try:
            return self._registry.get(resource, self._namespace, name)
        except ApiFault as error:
            raise NotMountable(error.message) from error


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _items(source: Json, files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    chosen = source.get("items")
    if not chosen:
        return [(key, key) for key in files]
    if missing := [each["key"] for each in chosen if each["key"] not in files]:
        raise NotMountable(f"references non-existent secret key: {missing[0]}")
    return [(each["key"], each["path"]) for each in chosen]


def _expanded(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\((\w+)\)", lambda found: values.get(found[1], found[0]), text)


def _field(body: Json, path: str) -> str:
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(body["metadata"].get(found[1], {}).get(found[2], ""))
    known = {
        "metadata.name": body["metadata"]["name"],
        "metadata.namespace": body["metadata"]["namespace"],
        "metadata.uid": body["metadata"]["uid"],
        "spec.nodeName": "node-1",
        "status.podIP": "127.0.0.1",
        "status.hostIP": "127.0.0.1",
    }
    return str(known[path])
