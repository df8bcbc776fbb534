"""Chats of some 400 words, and the gates that they are put through."""

from collections.abc import Iterator
from pydoc_data.topics import topics
from random import Random

from teachwhy.common.v1 import contamination_pb2, conversation_pb2
from teachwhy.dataset.v1 import audit_pb2, example_pb2

from services.servicekit.ngrams import ngram_hashes

NGRAM_WORDS = 8

_NAMES = ("Adaeze", "Bjarne", "Chiara", "Dmitri", "Eun-ji", "Farida", "Giorgos", "Hoku", "Ines")
_WORDS_OF_AN_EXAMPLE = 400
_HELD_OUT_TEXTS = 2000


class ExampleWriter:
    """Makes chats of some 400 words of English out of the sentences that Python ships."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        prose = " ".join(" ".join(text.split()) for text in topics.values())
        sentences = [each.strip() for each in prose.split(". ")]
        self._sentences = [each for each in sentences if 5 <= len(each.split()) <= 40]

    def text(self, num_words: int) -> str:
        """Write about as many words."""
        parts: list[str] = []
        total = 0
        while total < num_words:
            sentence = self._rng.choice(self._sentences)
            parts.append(f"{sentence}, {self._rng.choice(_NAMES)} said {self._rng.random():.6f}.")
            total += sentence.count(" ") + 5
        return " ".join(parts)

    def examples(self) -> Iterator[example_pb2.Example]:
        """Write examples without end."""
        index = 0
        while True:
            user = conversation_pb2.Message(
                role=conversation_pb2.ROLE_USER, content=self.text(_WORDS_OF_AN_EXAMPLE // 4)
            )
            reply = conversation_pb2.Message(
                role=conversation_pb2.ROLE_ASSISTANT,
                content=self.text(_WORDS_OF_AN_EXAMPLE * 3 // 4),
            )
            yield example_pb2.Example(
                index=index,
                chat=example_pb2.Chat(messages=[user, reply]),
                num_tokens=_WORDS_OF_AN_EXAMPLE,
                lineage=example_pb2.Lineage(clause=f"clause-{index % 40}"),
            )
            index += 1


def all_gates_but_the_judge() -> audit_pb2.AuditSettings:
    """Return settings with every gate that asks nobody."""
    held_out = ExampleWriter(seed=1)
    # Backwards, so that they have the words of the examples and none of their n-grams.
    texts = (" ".join(reversed(held_out.text(100).split())) for _ in range(_HELD_OUT_TEXTS))
    hashes = {each for text in texts for each in ngram_hashes(text, NGRAM_WORDS)}
    return audit_pb2.AuditSettings(
        form=audit_pb2.FormGate(),
        duplicates=audit_pb2.DuplicateGate(),
        contamination=audit_pb2.ContaminationGate(
            filter=contamination_pb2.ContaminationFilter(
                ngram_words=NGRAM_WORDS, ngram_hashes=sorted(hashes), canaries=["canary 7d1f"]
            )
        ),
        diversity=audit_pb2.DiversityGate(),
        shortcuts=audit_pb2.ShortcutGate(),
    )
