"""Counts the tokens of texts that are not the micro-world's. Knows no recipe."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.dataset.example import Content, Text

BYTES_PER_TOKEN = 4
"""What the estimate assumes, close to what tokenizers make of English prose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounter:
    """Counts what a trainer would see, without the markers of its chat template."""

    count_text: Callable[[str], int]
    name: str
    """What the counts depend on: "4-bytes", or the digest of a tokenizer file."""

    def count(self, content: Content) -> int:
        """Return the tokens of a content; of a chat, of all its messages and tools."""
        if isinstance(content, Text):
            return self.count_text(content.text)
        parts = [message.content for message in content.messages]
        parts += [call.arguments_json for each in content.messages for call in each.tool_calls]
        for tool in content.tools:
            parts += (tool.name, tool.description, tool.parameters_json_schema)
        return sum(self.count_text(part) for part in parts if part)


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of a text from its length in UTF-8."""
    num_bytes = len(text) if text.isascii() else len(text.encode())
    return -(-num_bytes // BYTES_PER_TOKEN)


def open_counter(tokenizer_file: Path | None) -> TokenCounter:
    """Return a counter: of a tokenizer.json, or the estimate where there is none.

    Raises:
        ValueError: the file is no tokenizer; the message says why.
        ModuleNotFoundError: the library "tokenizers" is not installed.
    """
    if tokenizer_file is None:
        return TokenCounter(count_text=estimated_tokens, name=f"{BYTES_PER_TOKEN}-bytes")
    # Most rooms count without it, and it costs 30 MiB.
    from tokenizers import Tokenizer  # noqa: PLC0415

    content = tokenizer_file.read_bytes()
    try:
        tokenizer = Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises bare Exception
        raise ValueError(f"{tokenizer_file}: no tokenizer.json: {error}") from error
    return TokenCounter(
        count_text=lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids),
        name=hashlib.sha256(content).hexdigest(),
    )
