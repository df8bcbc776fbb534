"""The default author: text, or JSON as the prompt asks for it, from a hash of the prompt.

JSON is asked for by a JSON Schema in the prompt, or by a form such as {"plans": [{"goal": "..."}]}
after the word JSON.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.model_server.answers import Answer, Reply, Script
from tests.model_server.asked import Asked

_VOCABULARY = (
    "harbour ledger patient lantern quiet engine letter garden review shipment honest careful "
    "evening signal partner archive bridge window budget orchard captain river council meadow "
    "violin market shelter compass kettle teacher village notebook doctor station carpet ticket "
    "asked waited opened carried answered refused promised checked repaired counted listened "
    "wrote explained noticed returned offered decided gathered measured taught watched learned "
    "slowly plainly together early openly kindly twice later outside nearby first again"
)
_WORDS = _VOCABULARY.split()
_TEXT_SENTENCES = (3, 7)
_ENTRY_SENTENCES = (1, 4)
_SENTENCE_WORDS = (6, 16)
_NAME_WORDS = (2, 5)
_NAME_LENGTH = 80
_LIST_LENGTH = 3
_FORM_LIST_LENGTH = 16  # a form does not say how many are wanted; no recipe asks for more
_NO_LENGTH = 10_000

Schema = Mapping[str, Any]


def author(**fixed: Any) -> Script:
    """Make the default author with some JSON fields fixed by name, wherever they stand.

    For example `author(bait_taken=0)` judges every reply as good and writes all else as always.
    """

    def script(asked: Asked) -> Answer:
        draw = random.Random(asked.digest)
        schema = schema_in(asked.prompt)
        if schema is not None:
            return Reply(json.dumps(sample_of(schema, draw, fixed)))
        form = form_in(asked.prompt)
        if form is not None:
            return Reply(json.dumps(_filled(form, draw, fixed)))
        return Reply(sample_text(draw))

    return script


sample_reply = author()


def sample_text(draw: random.Random, sentences: tuple[int, int] = _TEXT_SENTENCES) -> str:
    return " ".join(_sentence(draw) for _ in range(draw.randint(*sentences)))


def schema_in(prompt: str) -> Schema | None:
    """Return the last JSON Schema in the prompt, the outermost where they nest."""
    return next((each for each in reversed(list(_objects_in(prompt))) if _is_schema(each)), None)


def form_in(prompt: str) -> Mapping[str, Any] | None:
    """Return the object that the prompt shows after it last speaks of JSON."""
    _, asked_for, after = prompt.rpartition("JSON")
    return next(_objects_in(after), None) if asked_for else None


def sample_of(schema: Schema, draw: random.Random, fixed: Schema | None = None) -> Any:
    """Draw a value that fits the schema."""
    return _Sampler(root=schema, draw=draw, fixed=fixed or {}).value(schema)


def _objects_in(text: str) -> Iterator[Mapping[str, Any]]:
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            yield value
        at = text.find("{", end)


def _is_schema(value: Schema) -> bool:
    return isinstance(value.get("properties"), dict) or "$ref" in value or "$defs" in value


def _filled(form: Any, draw: random.Random, fixed: Schema) -> Any:
    if isinstance(form, dict):
        return {
            name: fixed[name] if name in fixed else _filled(each, draw, fixed)
            for name, each in form.items()
        }
    if isinstance(form, list):
        return [_filled(form[0], draw, fixed) for _ in range(_FORM_LIST_LENGTH)] if form else []
    return sample_text(draw, _ENTRY_SENTENCES) if isinstance(form, str) else form


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sampler:
    root: Schema
    draw: random.Random
    fixed: Schema = field(default_factory=dict)

    def value(self, schema: Schema) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.draw.choice(schema["enum"])
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        return self._scalar(kind, schema)

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            return self._resolved(self.root["$defs"][str(schema["$ref"]).rsplit("/", 1)[-1]])
        for union in ("anyOf", "oneOf", "allOf"):
            if union in schema:
                return self._resolved(schema[union][0])
        return schema

    def _object(self, schema: Schema) -> Any:
        return {
            name: self.fixed[name] if name in self.fixed else self.value(each)
            for name, each in schema.get("properties", {}).items()
        }

    def _array(self, schema: Schema) -> Any:
        if "prefixItems" in schema:
            return [self.value(each) for each in schema["prefixItems"]]
        length = max(int(schema.get("minItems", 1)), _LIST_LENGTH)
        length = min(length, int(schema.get("maxItems", length)))
        return [self.value(schema.get("items", {})) for _ in range(length)]

    def _scalar(self, kind: str, schema: Schema) -> Any:
        if kind == "boolean":
            return self.draw.random() < 0.5
        if kind == "null":
            return None
        if kind == "string":
            return self._string(schema)
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 10))
        if kind == "number":
            return round(low + (high - low) * self.draw.uniform(0.1, 0.9), 3)
        lowest = int(low) + ("exclusiveMinimum" in schema)
        return self.draw.randint(lowest, int(high) - ("exclusiveMaximum" in schema))

    def _string(self, schema: Schema) -> str:
        most = schema.get("maxLength", _NO_LENGTH)
        # A short limit asks for a name, not for prose.
        text = _name(self.draw) if most <= _NAME_LENGTH else sample_text(self.draw)
        while len(text) < schema.get("minLength", 0):
            text += " " + sample_text(self.draw)
        return text[:most].strip()


def _name(draw: random.Random) -> str:
    return " ".join(draw.choices(_WORDS, k=draw.randint(*_NAME_WORDS)))


def _sentence(draw: random.Random) -> str:
    words = draw.choices(_WORDS, k=draw.randint(*_SENTENCE_WORDS))
    return " ".join(words).capitalize() + "."
