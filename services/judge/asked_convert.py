"""Rubrics and judge models that a request names, looked up in what the room has."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from teachwhy.common.v1 import model_pb2

from services.judge.asking.model_rubric import ModelRubric
from services.servicekit.chat import ModelRef
from services.servicekit.conversation_convert import model_ref_from_proto
from services.servicekit.errors import InvalidField, ResourceNotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRubrics:
    """The rubrics that one kind of request may name."""

    rubrics: Mapping[str, ModelRubric]
    others: Collection[str]
    """Rubrics of the room that are for something else."""
    purpose: str
    """What the rubrics are for, in messages: "rubrics for <purpose>"."""
    not_for_it: str
    """What is wrong with one of the others: '"<name>" <not_for_it>'."""

    def named(self, name: str, *, field: str) -> ModelRubric:
        """Find the rubric that ``field`` names.

        Raises:
            InvalidField: the name is missing, or of a rubric for something else.
            ResourceNotFound: there is no such rubric.
        """
        rubric = self.rubrics.get(name)
        if rubric is not None:
            return rubric
        known = f"rubrics for {self.purpose}: {', '.join(self.rubrics)}"
        if not name:
            raise InvalidField.at(field, f"is required; {known}")
        if name in self.others:
            raise InvalidField.at(field, f'"{name}" {self.not_for_it}; {known}')
        raise ResourceNotFound("rubric", name, known=tuple(self.rubrics))


def asked_model(model: model_pb2.ModelRef, *, field: str, endpoints: Collection[str]) -> ModelRef:
    """Read the judge model that ``field`` names.

    Raises:
        InvalidField: a name that no endpoint or host could have.
        ResourceNotFound: there is no such endpoint.
    """
    found = model_ref_from_proto(model, field=field)
    if found.endpoint not in endpoints:
        raise ResourceNotFound("endpoint", found.endpoint, known=tuple(endpoints))
    return found
