"""AuditDataset as a stream of messages: order, limits, defaults, and what the report says."""

import gc
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest
from teachwhy.common.v1 import contamination_pb2, conversation_pb2, model_pb2
from teachwhy.dataset.v1 import audit_pb2, example_pb2

from services.dataset.audit_convert import settings_from_proto
from services.dataset.audit_service import audit_dataset
from services.dataset.gates.settings import (
    AuditSettings,
    ContaminationFilter,
    ContaminationGate,
    DiversityGate,
    DuplicateGate,
    FormGate,
    QualityGate,
    ShortcutGate,
)
from services.servicekit.chat import ModelRef
from services.servicekit.errors import InvalidField, NotConfigured
from tests.dataset.gate_examples import WrittenJudge, graded, varied_text

FORM = audit_pb2.AuditSettings(form=audit_pb2.FormGate())
FILTER = contamination_pb2.ContaminationFilter(ngram_words=8, ngram_hashes=[1], revision="r")


def _example(index: int, text: str = "", *, clause: str = "") -> example_pb2.Example:
    return example_pb2.Example(
        index=index,
        document=text or varied_text(index),
        num_tokens=7,
        lineage=example_pb2.Lineage(clause=clause),
    )


def _settings(settings: audit_pb2.AuditSettings) -> audit_pb2.AuditDatasetRequest:
    return audit_pb2.AuditDatasetRequest(settings=settings)


def _batch(*examples: example_pb2.Example) -> audit_pb2.AuditDatasetRequest:
    return audit_pb2.AuditDatasetRequest(examples=audit_pb2.ExampleBatch(examples=examples))


def _contrast(*examples: example_pb2.Example) -> audit_pb2.AuditDatasetRequest:
    return audit_pb2.AuditDatasetRequest(contrast=audit_pb2.ExampleBatch(examples=examples))


async def _audit(*requests: audit_pb2.AuditDatasetRequest) -> audit_pb2.AuditDatasetResponse:
    async def stream() -> AsyncIterator[audit_pb2.AuditDatasetRequest]:
        for request in requests:
            yield request

    return await audit_dataset(stream(), WrittenJudge(lambda text: graded(9)))


async def test_every_gate_is_reported_in_order_and_those_that_did_not_run_have_no_say() -> None:
    report = await _audit(_settings(FORM), _batch(_example(0)))

    assert [each.gate for each in report.gates] == [
        "form",
        "duplicates",
        "contamination",
        "quality",
        "diversity",
        "shortcuts",
    ]
    assert [each.ran for each in report.gates] == [True] + [False] * 5
    assert [each.passed for each in report.gates] == [True] + [False] * 5
    assert "did not run" in report.gates[1].explanation
    assert report.passed


async def test_what_is_left_is_counted_by_clause() -> None:
    report = await _audit(
        _settings(FORM),
        _batch(_example(0, clause="honesty"), _example(1, "x", clause="honesty")),
        _batch(_example(5), _example(9, clause="privacy")),
    )

    assert [each.index for each in report.dropped] == [1]
    assert (report.kept, report.kept_tokens) == (3, 21)
    assert dict(report.kept_by_clause) == {"": 1, "honesty": 1, "privacy": 1}


async def test_an_example_meets_a_gate_only_if_those_before_let_it_through() -> None:
    settings = audit_pb2.AuditSettings(
        form=audit_pb2.FormGate(max_dropped_share=1.0),
        duplicates=audit_pb2.DuplicateGate(max_dropped_share=1.0),
        quality=audit_pb2.QualityGate(judge_model=model_pb2.ModelRef(model="judge")),
        diversity=audit_pb2.DiversityGate(),
    )
    texts = ["x", varied_text(1), varied_text(1), varied_text(2)]

    report = await _audit(
        _settings(settings), _batch(*(_example(i, text) for i, text in enumerate(texts)))
    )

    assert [each.checked for each in report.gates] == [4, 3, 0, 2, 2, 0]


async def test_a_dataset_of_which_nothing_is_left_does_not_pass() -> None:
    settings = audit_pb2.AuditSettings(form=audit_pb2.FormGate(max_dropped_share=1.0))

    report = await _audit(_settings(settings), _batch(_example(0, "x")))

    assert report.gates[0].passed
    assert (report.passed, report.kept) == (False, 0)


async def test_batches_of_any_size_give_the_same_report() -> None:
    settings = audit_pb2.AuditSettings(
        form=audit_pb2.FormGate(),
        duplicates=audit_pb2.DuplicateGate(),
        diversity=audit_pb2.DiversityGate(),
        shortcuts=audit_pb2.ShortcutGate(),
    )
    examples = [_example(i, varied_text(i % 90)) for i in range(100)]
    contrast = [_example(i, varied_text(500 + i)) for i in range(30)]

    whole = await _audit(_settings(settings), _batch(*examples), _contrast(*contrast))
    parts = await _audit(
        _settings(settings),
        _contrast(*contrast[15:]),
        *(_batch(example) for example in examples),
        _batch(),
        _contrast(*contrast[:15]),
    )

    assert whole.SerializeToString(deterministic=True) == parts.SerializeToString(
        deterministic=True
    )


NO_CONTENT = example_pb2.Example(index=3)
NO_ROLE = example_pb2.Example(
    chat=example_pb2.Chat(messages=[conversation_pb2.Message(content="hm")])
)
SHORTCUTS = audit_pb2.AuditSettings(shortcuts=audit_pb2.ShortcutGate())


@pytest.mark.parametrize(
    ("requests", "field"),
    [
        ([], "settings"),
        ([_batch(_example(0))], "settings"),
        ([_settings(audit_pb2.AuditSettings())], "settings"),
        ([_settings(FORM), _settings(FORM)], "settings"),
        ([_settings(FORM), audit_pb2.AuditDatasetRequest()], "content"),
        ([_settings(FORM)], "examples"),
        ([_settings(FORM), _batch()], "examples"),
        ([_settings(FORM), _batch(_example(-1))], "examples.examples[0].index"),
        ([_settings(FORM), _batch(_example(1), _example(1))], "examples.examples[1].index"),
        (
            [_settings(FORM), _batch(_example(4)), _batch(_example(2))],
            "examples.examples[0].index",
        ),
        ([_settings(FORM), _batch(_example(0), NO_CONTENT)], "examples.examples[1]"),
        ([_settings(FORM), _batch(NO_ROLE)], "examples.examples[0].chat.messages[0].role"),
        ([_settings(FORM), _contrast(_example(0))], "contrast"),
        ([_settings(SHORTCUTS), _contrast(NO_CONTENT)], "contrast.examples[0]"),
        ([_settings(SHORTCUTS), _batch(_example(0))], "contrast"),
    ],
)
async def test_a_stream_that_breaks_the_contract_is_refused_with_its_path(
    requests: Sequence[audit_pb2.AuditDatasetRequest], field: str
) -> None:
    with pytest.raises(InvalidField) as caught:
        await _audit(*requests)

    assert [each.field for each in caught.value.violations] == [field]


def test_what_is_unset_takes_the_defaults_of_the_contract() -> None:
    settings = audit_pb2.AuditSettings(
        form=audit_pb2.FormGate(),
        duplicates=audit_pb2.DuplicateGate(),
        contamination=audit_pb2.ContaminationGate(filter=FILTER),
        quality=audit_pb2.QualityGate(judge_model=model_pb2.ModelRef(model="judge")),
        diversity=audit_pb2.DiversityGate(),
        shortcuts=audit_pb2.ShortcutGate(),
    )

    assert settings_from_proto(settings) == AuditSettings(
        form=FormGate(max_dropped_share=0.1),
        duplicates=DuplicateGate(min_similarity=0.7, max_dropped_share=0.2),
        contamination=ContaminationGate(
            filter=ContaminationFilter(ngram_words=8, ngram_hashes=(1,), canaries=(), revision="r"),
            max_shared_ngrams=0,
            max_dropped_share=0.01,
        ),
        quality=QualityGate(
            judge_model=ModelRef(model="judge"),
            rubric="example-quality",
            min_grade=6.0,
            max_dropped_share=0.3,
            max_ungraded_share=0.02,
            max_graded=0,
        ),
        diversity=DiversityGate(
            min_distinct_2=0.2,
            max_same_opening_share=0.15,
            max_same_name_share=0.05,
            max_same_phrase_share=0.1,
        ),
        shortcuts=ShortcutGate(max_auc=1.0),
    )


def test_a_limit_of_zero_is_a_limit_and_not_a_default() -> None:
    settings = audit_pb2.AuditSettings(form=audit_pb2.FormGate(max_dropped_share=0.0))

    assert settings_from_proto(settings) == AuditSettings(form=FormGate(max_dropped_share=0.0))


def test_everything_out_of_range_is_named_at_once() -> None:
    settings = audit_pb2.AuditSettings(
        form=audit_pb2.FormGate(max_dropped_share=float("nan"), banned_phrases=["ok", " "]),
        duplicates=audit_pb2.DuplicateGate(min_similarity=0.2, max_dropped_share=1.1),
        contamination=audit_pb2.ContaminationGate(max_shared_ngrams=-1),
        quality=audit_pb2.QualityGate(min_grade=11, max_graded=-1, max_ungraded_share=-0.1),
        diversity=audit_pb2.DiversityGate(min_distinct_2=2),
        shortcuts=audit_pb2.ShortcutGate(max_auc=0.4),
    )

    with pytest.raises(InvalidField) as caught:
        settings_from_proto(settings)

    assert {each.field for each in caught.value.violations} == {
        "settings.form.max_dropped_share",
        "settings.form.banned_phrases[1]",
        "settings.duplicates.min_similarity",
        "settings.duplicates.max_dropped_share",
        "settings.contamination.max_shared_ngrams",
        "settings.contamination.filter",
        "settings.quality.judge_model.model",
        "settings.quality.min_grade",
        "settings.quality.max_graded",
        "settings.quality.max_ungraded_share",
        "settings.diversity.min_distinct_2",
        "settings.shortcuts.max_auc",
    }


@pytest.mark.parametrize(
    ("held_out", "field"),
    [
        (contamination_pb2.ContaminationFilter(ngram_words=4, ngram_hashes=[1]), "ngram_words"),
        (contamination_pb2.ContaminationFilter(ngram_words=33, ngram_hashes=[1]), "ngram_words"),
        (contamination_pb2.ContaminationFilter(ngram_words=8), ""),
        (
            contamination_pb2.ContaminationFilter(ngram_words=8, canaries=["real", ""]),
            "canaries[1]",
        ),
    ],
)
def test_a_filter_that_finds_nothing_or_everything_is_refused(
    held_out: contamination_pb2.ContaminationFilter, field: str
) -> None:
    settings = audit_pb2.AuditSettings(contamination=audit_pb2.ContaminationGate(filter=held_out))

    with pytest.raises(InvalidField) as caught:
        settings_from_proto(settings)

    path = f"settings.contamination.filter.{field}".rstrip(".")
    assert [each.field for each in caught.value.violations] == [path]


async def test_without_a_judge_the_quality_gate_is_not_configured() -> None:
    async def stream() -> AsyncIterator[audit_pb2.AuditDatasetRequest]:
        model = model_pb2.ModelRef(model="judge")
        gate = audit_pb2.QualityGate(judge_model=model)
        yield _settings(audit_pb2.AuditSettings(quality=gate))

    with pytest.raises(NotConfigured, match="DATASET_JUDGE"):
        await audit_dataset(stream(), None)


async def test_texts_are_not_kept_once_the_gates_have_seen_them() -> None:
    text_bytes = 100_000

    async def stream() -> AsyncIterator[audit_pb2.AuditDatasetRequest]:
        settings = audit_pb2.AuditSettings(
            form=audit_pb2.FormGate(), duplicates=audit_pb2.DuplicateGate(max_dropped_share=1.0)
        )
        yield _settings(settings)
        for index in range(60):
            if index == 10:
                gc.collect()
                tracemalloc.start()
            yield _batch(_example(index, f"{varied_text(index, text_bytes // 5)}"))
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()

    held: list[int] = []
    await audit_dataset(stream(), None)

    assert held[0] < 10 * text_bytes
