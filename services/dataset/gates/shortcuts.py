"""The shortcuts gate: whether a bag of words tells a dataset from its contrast."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.dataset.gates.reading import AuditedExample
from services.dataset.gates.report import GateMeasure, GateName, GateReport, explain
from services.dataset.gates.sampling import Sample
from services.dataset.gates.settings import ShortcutGate
from services.servicekit.ngrams import words

SAMPLE_SIZE = 2000
"""Examples of each side at most, so that the time is bounded."""
MIN_EXAMPLES = 10
"""Examples of each side at least."""
NUM_FOLDS = 5
MOST_WORDS = 20_000

_WORDS_SHOWN = 6
_SEED = 0


class Shortcuts:
    """Trains a linear classifier on which words occur, and measures it on unseen examples."""

    def __init__(self, settings: ShortcutGate) -> None:
        self._settings = settings
        self._dataset = Sample(SAMPLE_SIZE, seed="shortcuts")
        self._contrast = Sample(SAMPLE_SIZE, seed="shortcuts")

    def offer(self, example: AuditedExample) -> None:
        """Take an example of the dataset into account."""
        self._dataset.offer(example)

    def offer_contrast(self, example: AuditedExample) -> None:
        """Take an example of the contrast into account."""
        self._contrast.offer(example)

    @property
    def has_contrast(self) -> bool:
        """Whether there is anything to tell the dataset from."""
        return self._contrast.num_offered > 0

    def report(self) -> GateReport:
        """Train, and say how well it tells them apart and by which words."""
        ours, theirs = self._dataset.examples, self._contrast.examples
        measures: tuple[GateMeasure, ...] = (_size_measure(ours, theirs),)
        if measures[0].passed:
            auc, evidence = _told_apart(ours, theirs)
            limit = GateMeasure(
                name="auc", value=auc, max=self._settings.max_auc, evidence=evidence
            )
            measures = (limit, *measures)
        return GateReport(
            gate=GateName.SHORTCUTS,
            ran=True,
            checked=self._dataset.num_offered,
            measures=measures,
            explanation=explain(
                measures,
                well=f"Single words tell it from its contrast with an area under the ROC curve of "
                f"{measures[0].value:.3f}; 0.5 is chance.",
                advice="Let both sides be written from the same prompts, so that they differ in "
                "what they say and not in how.",
            ),
        )


def _size_measure(ours: Sequence[object], theirs: Sequence[object]) -> GateMeasure:
    return GateMeasure(
        name="examples_of_a_side",
        value=min(len(ours), len(theirs)),
        min=MIN_EXAMPLES,
        evidence=f"{len(ours)} examples were compared with {len(theirs)} of the contrast",
    )


def _told_apart(
    ours: Sequence[AuditedExample], theirs: Sequence[AuditedExample]
) -> tuple[float, str]:
    # Loaded here: an audit without this gate does without them.
    from sklearn.feature_extraction.text import CountVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415
    from sklearn.model_selection import StratifiedKFold, cross_val_predict  # noqa: PLC0415

    bags = CountVectorizer(analyzer=words, binary=True, max_features=MOST_WORDS)
    counts = bags.fit_transform([example.text for example in (*ours, *theirs)])
    labels = np.repeat([1, 0], [len(ours), len(theirs)])
    model = LogisticRegression(solver="liblinear", random_state=_SEED, class_weight="balanced")
    folds = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=_SEED)
    scores = cross_val_predict(model, counts, labels, cv=folds, method="decision_function")
    auc = float(roc_auc_score(labels, scores))
    weights = model.fit(counts, labels).coef_[0]
    return auc, _evidence(weights, bags.get_feature_names_out())


def _evidence(weights: NDArray[np.float64], vocabulary: Any) -> str:
    order = np.argsort(weights, kind="stable")

    def shown(places: NDArray[np.int64]) -> str:
        return ", ".join(f'"{vocabulary[place]}"' for place in places)

    return (
        f"words that speak most for the dataset: {shown(order[::-1][:_WORDS_SHOWN])}; "
        f"for its contrast: {shown(order[:_WORDS_SHOWN])}"
    )
