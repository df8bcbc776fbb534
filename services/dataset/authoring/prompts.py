"""Prompts: Markdown files with front matter, one for each stage that asks a model.

    ---
    version: 1
    temperature: 0.9
    max_output_tokens: 1500
    ---
    # system
    Jinja text.
    # user
    Jinja text with {{ clause.text }}.
    # sample reply
    A plausible reply, for dry runs alone.

`version` is required, the other two keys are not. The sections "# system", "# user" and
"# assistant" become messages in their order; other headings are part of the text.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from services.servicekit.conversation import Message, Role

if TYPE_CHECKING:
    from jinja2 import Environment

PROMPTS = Path(__file__).parent.parent / "prompts"

_FRONT_MATTER = re.compile(r"---\n(.*?)\n---\n(.*)", re.DOTALL)
_SECTION = re.compile(r"^# (system|user|assistant|sample reply)[ \t]*$", re.MULTILINE)
_SAMPLE = "sample reply"
_VERSION_DIGITS = 8
_KEYS = frozenset({"version", "temperature", "max_output_tokens"})


class MalformedPrompt(ValueError):
    """A prompt file breaks the format; the message names the file and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The prompt of one stage."""

    name: str
    """Name of its stage."""
    version: str
    """"NUMBER-DIGEST": the number that people count and 8 hex digits of the content."""
    digest: str
    """SHA-256 of the file, 64 hex digits."""
    temperature: float | None
    """None leaves it to the request."""
    max_output_tokens: int | None
    """None leaves it to the request."""
    sample_reply: str
    sections: tuple[tuple[Role, Callable[[Mapping[str, object]], str]], ...]
    """Who speaks, and what renders the text from fields."""

    def messages(self, **fields: object) -> tuple[Message, ...]:
        """Render the prompt; a section that renders to nothing is left out.

        Raises:
            jinja2.UndefinedError: the prompt uses a field that was not given.
        """
        rendered = [(role, render(fields).strip()) for role, render in self.sections]
        return tuple([Message(role=role, content=text) for role, text in rendered if text])


@cache
def load_prompts(recipe: str, root: Path = PROMPTS) -> Mapping[str, Prompt]:
    """Load the prompts of a recipe by the name of their stage; none if it has no folder.

    Raises:
        MalformedPrompt: a file breaks the format.
    """
    files = sorted((root / recipe).glob("*.md"))
    return MappingProxyType({path.stem: read_prompt(path) for path in files})


def read_prompt(path: Path) -> Prompt:
    """Read one prompt file.

    Raises:
        MalformedPrompt: the file breaks the format.
    """
    content = path.read_text(encoding="utf-8")
    matched = _FRONT_MATTER.fullmatch(content)
    if not matched:
        raise MalformedPrompt(f'{path.name}: must begin with front matter between two lines "---"')
    facts = _facts(path, matched[1])
    head, *parts = _SECTION.split(matched[2])
    if head.strip():
        raise MalformedPrompt(f"{path.name}: text before the first section: {head.strip()[:40]!r}")
    sections = list(zip(parts[::2], parts[1::2], strict=True))
    samples = [text.strip() for name, text in sections if name == _SAMPLE]
    if len(samples) != 1 or not samples[0]:
        raise MalformedPrompt(f'{path.name}: must have one section "# sample reply" with text')
    asked = tuple((Role(name), _renderer(path, text)) for name, text in sections if name != _SAMPLE)
    if not any(role is Role.USER for role, _ in asked):
        raise MalformedPrompt(f'{path.name}: must have a section "# user"')
    digest = hashlib.sha256(content.encode()).hexdigest()
    temperature, tokens = facts.get("temperature"), facts.get("max_output_tokens")
    return Prompt(
        name=path.stem,
        version=f"{int(facts['version'])}-{digest[:_VERSION_DIGITS]}",
        digest=digest,
        temperature=temperature,
        max_output_tokens=None if tokens is None else int(tokens),
        sample_reply=samples[0],
        sections=asked,
    )


def _facts(path: Path, front_matter: str) -> dict[str, float]:
    facts: dict[str, float] = {}
    for line in filter(str.strip, front_matter.splitlines()):
        key, _, value = (part.strip() for part in line.partition(":"))
        if key not in _KEYS or key in facts:
            allowed = ", ".join(sorted(_KEYS))
            raise MalformedPrompt(f"{path.name}: front matter holds {allowed}, once; got {line!r}")
        try:
            facts[key] = float(value) if key == "temperature" else int(value)
        except ValueError:
            raise MalformedPrompt(f"{path.name}: {key} must be a number, got {value!r}") from None
    if "version" not in facts:
        raise MalformedPrompt(f"{path.name}: front matter must have a version")
    return facts


def _renderer(path: Path, text: str) -> Callable[[Mapping[str, object]], str]:
    # Jinja costs a room that writes with a grammar alone 6 MiB.
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415
    from jinja2.runtime import Context  # noqa: PLC0415

    try:
        template = _environment().from_string(text.strip())
    except TemplateSyntaxError as error:
        raise MalformedPrompt(f"{path.name}: {error.message}") from error
    always, root = dict(template.globals), template.root_render_func
    context = Context(template.environment, {}, template.name, template.blocks)

    def render(fields: Mapping[str, object]) -> str:
        # Template.render makes a context and looks the globals up anew each time, which takes
        # longer than the text. Nothing else can run before this returns, so one context will do.
        context.parent = {**always, **fields}
        context.vars.clear()
        context.exported_vars.clear()
        return "".join(root(context))

    return render


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415  # as in _renderer

    environment = Environment(  # noqa: S701  # prompts are no HTML
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # Jinja's own looks out for HTML and coroutines, which takes several times as long.
    environment.filters["join"] = _joined
    return environment


def _joined(values: Iterable[object], separator: str = "") -> str:
    return separator.join(map(str, values))
