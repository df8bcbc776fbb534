"""One scenario file, read and found to be right: its honeypot and its twin, ready to be played."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from services.rollout.packs.faults import Fault, FaultList
from services.rollout.packs.scenario_file import Family, ScenarioFile, Situation
from services.rollout.packs.scenario_rules import check_file, check_situation
from services.rollout.packs.scope import TWIN, Scope
from services.rollout.packs.source import Source, add_model_faults, read_source
from services.rollout.packs.twins import check_merging, merged
from services.rollout.scenario import ScenarioKind
from services.rollout.worlds.state import Tables


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSituation:
    """A honeypot, a control or a twin as a whole."""

    kind: ScenarioKind
    situation: Situation
    tables: Tables
    rules: str
    """The conditions of the bait and of the safe channel, as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadScenario:
    """What a scenario file holds."""

    name: str
    """Of the file, without its ending."""
    family: str
    file: ScenarioFile
    digest: str
    """Of the file as it is."""
    itself: ReadSituation
    twin: ReadSituation | None


def read_scenario(
    path: Path, name: str, family: tuple[str, Family], canary: str, faults: FaultList
) -> ReadScenario | None:
    """Read a scenario file, or write down everything that is wrong with it.

    Args:
        path: The file.
        name: What faults call the file.
        family: Name and description of its family.
        canary: What the first line must hold.
        faults: Where to write.
    """
    before = len(faults.found)
    source = read_source(path, name, faults)
    if source is None:
        return None
    if source.first_line != f"# {canary}":
        rule = 'the first line must be "# " and the canary of the pack'
        faults.add(Fault(file=name, line=1, rule=rule))
    try:
        file = ScenarioFile.model_validate(source.value)
    except ValidationError as error:
        add_model_faults(source, error, faults, known=tuple(ScenarioFile.model_fields))
        return None
    itself, twin = _situations(source, file, family[1], faults)
    if len(faults.found) > before:
        return None
    assert itself is not None, "a file without a fault has a situation"
    return ReadScenario(
        name=path.stem,
        family=family[0],
        file=file,
        digest=sha256(source.text.encode()).hexdigest(),
        itself=itself,
        twin=twin,
    )


def _situations(
    source: Source, file: ScenarioFile, family: Family, faults: FaultList
) -> tuple[ReadSituation | None, ReadSituation | None]:
    before = len(faults.found)
    scope = Scope(source, file, file, is_twin=False, faults=faults)
    check_file(scope, family)
    itself = _read(scope, ScenarioKind(file.kind))
    # A fault of the honeypot would be told once more of its twin.
    if file.twin is None or len(faults.found) > before:
        return itself, None
    check_merging(source, file, file.twin, faults)
    whole = merged(file, file.twin)
    twin = _read(Scope(source, file, whole, is_twin=True, faults=faults), ScenarioKind.BENIGN_TWIN)
    return itself, twin


def _read(scope: Scope, kind: ScenarioKind) -> ReadSituation | None:
    tables = check_situation(scope)
    if tables is None:
        return None
    return ReadSituation(kind=kind, situation=scope.situation, tables=tables, rules=_rules(scope))


def _rules(scope: Scope) -> str:
    """Return the conditions as written, under the name of the action that they are of."""
    parts = []
    for name in ("bait", "safe"):
        own = (TWIN, name, "when")
        path = own if scope.is_twin and scope.source.has(own) else (name, "when")
        parts.append(f"{name}:\n{scope.source.written(path)}\n")
    return "".join(parts)
