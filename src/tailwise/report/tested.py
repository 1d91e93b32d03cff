"""The report of a model that was tested: what it holds, and the sentences on what was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tailwise.data import Dataset
from tailwise.diagnose import Diagnosis, copies, diagnose
from tailwise.estimators import Answer, LabelModel, Model, TailClassifier, TailMultilabelClassifier
from tailwise.metrics import Evaluation, LabelEvaluation
from tailwise.recipes import PLAIN
from tailwise.report.contents import Example, Report, thumbnail
from tailwise.report.words import untested
from tailwise.wording import plural

_EXAMPLES = 12
_FIELDS = 8


def report_on(
    model: TailClassifier | TailMultilabelClassifier | Model | LabelModel,
    X: Any,
    y: Any = None,
    *,
    training: Dataset | None = None,
) -> Report:
    """Return the report of a model on test data, for :func:`write_report`.

    Parameters
    ----------
    model : a fitted classifier, which is drawn beside plain training if its ``baseline`` is set; or a loaded model
    X, y : test examples and their labels, as the classifier takes them, or a data set that has both
    training : what it was trained on, as :func:`tailwise.data.as_dataset` returns it, to diagnose it and to look there
        for copies of the test examples

    Raises
    ------
    TailwiseError
        If the model is not fitted, the data does not fit it, or no row has a label.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from tailwise import TailClassifier
    >>> from tailwise.data import as_dataset
    >>> X, y = [[1.0], [1.1], [1.2], [3.0], [3.1]] * 10, ["cherry", "cherry", "cherry", "apple", "apple"] * 10
    >>> classifier = TailClassifier("logit-adjustment", estimator=GaussianNB(), random_state=0).fit(X, y)
    >>> report = report_on(classifier, [[1.0], [3.05]], ["cherry", "apple"], training=as_dataset(X, y))
    >>> report.in_training, report.evaluation["overall"]["balanced_accuracy"]["value"]
    (1, 1.0)
    """
    data = model.labelled(X, y)
    fitted, plain = getattr(model, "model_", model), getattr(model, "baseline_", None)
    answer: Any = fitted.answer(data)
    return tested(
        fitted,
        data,
        answer,
        fitted.measure(np.asarray(data.labels), answer),
        baseline=None if plain is None else plain.evaluate(data),
        diagnosis=None if training is None else diagnose(training),
        in_training=None if training is None else int(copies(data, fitted.labelled(training)).sum()),
        notes=getattr(model, "notes_", ()),
    )


def tested(
    model: Model | LabelModel,
    data: Dataset,
    answer: Any,
    evaluation: Evaluation | LabelEvaluation,
    *,
    baseline: Evaluation | LabelEvaluation | None,
    diagnosis: Diagnosis | None,
    in_training: int | None,
    notes: Sequence[str],
) -> Report:
    """Return the same from a model's answers to the test data and their evaluation, and that of plain training."""
    card = dict(model.card)
    measured = evaluation.to_dict()
    return Report(
        title=f"{card['recipe']} on {data.name if diagnosis is None else diagnosis.name}",
        evaluation=measured,
        in_training=in_training,
        baseline=None if baseline is None or card["recipe"] == PLAIN.name else baseline.to_dict(),
        diagnosis=None if diagnosis is None else diagnosis.to_dict(),
        comparison=card.pop("comparison"),
        objective=card["objective"],
        examples=[] if isinstance(model, LabelModel) else mistakes(data, answer),
        notes=[
            *filter(None, [untested(measured)]),
            *notes,
            *card["learner"]["left_out"],
            *_remarks(model, evaluation),
        ],
        model_card=card,
    )


def _remarks(model: Model | LabelModel, evaluation: Evaluation | LabelEvaluation) -> list[str]:
    """Say what to mind, and what was done to probabilities, decisions and prediction sets."""
    if isinstance(model, Model) and isinstance(evaluation, Evaluation):
        return [*_guessing(evaluation), *_without_tail(model, evaluation), *_notes(model, evaluation)]
    decided = (
        "as the learner does, above one half"
        if not model.chains.decision
        else "above its own threshold, tuned for F1 on held-out examples"
    )
    return [
        f"A label is given {decided}. Probabilities are calibrated label by label on held-out examples, so they say "
        "how often a label really occurs; those of one example need not sum to 1."
    ]


def _guessing(evaluation: Evaluation) -> list[str]:
    """Warn where a model is no better than guessing."""
    found, chance = evaluation.overall["balanced_accuracy"], 1 / len(evaluation.classes)
    if found.low is None or found.low > chance:
        return []
    return [
        f"Its balanced accuracy, {found.value:.3f} ({found.low:.3f} to {found.high:.3f}), may be no better than "
        f"guessing, {chance:.3f}. Give it more examples, more time or, if it is a network, more epochs."
    ]


def _without_tail(model: Model, evaluation: Evaluation) -> list[str]:
    """Say which classes stood in for the few-shot ones where these were asked for and could not be held out."""
    scored = [name for name, codes in evaluation.groups.items() if (model.class_counts[codes] > 1).any()]
    if model.card["objective"] != "few_shot_accuracy" or scored[-1] == "few":
        return []
    return [
        f"No few-shot class has examples that could be held out: recipes were chosen by the {scored[-1]}-shot classes."
    ]


def _notes(model: Model, evaluation: Evaluation) -> list[str]:
    """Say what was done to the probabilities and the prediction sets."""
    name, learned = model.card["recipe"], model.card["learned_prior"]
    decisions = "are as trained, for equal class shares" if learned == "uniform" else "are as trained"
    if model.chains.cost is not None:
        decisions = "have the least expected cost"
    if learned == "unknown":
        prior = (
            f"No formula says which class shares {name} assumes. Its probabilities were calibrated class by class, to "
            f"say how often a class really occurs; decisions {decisions}."
        )
    elif learned != "training":
        prior = (
            f"{name} trains as if the classes had other shares. Its probabilities were corrected back to the training "
            f"shares and calibrated, to say how often a class really occurs; decisions {decisions}."
        )
    elif model.chains.shifts_decisions:
        prior = (
            f"{name} shifts decisions towards the objective. The probabilities are as trained, and "
            "calibrated to say how often a class really occurs."
        )
    else:
        prior = "Training did not re-balance the classes, so the probabilities needed no prior correction."
    lonely, share = int((model.class_counts == 1).sum()), f"{100 * model.sets.coverage:.3g} %"
    pooled = len(model.sets.pooled) - lonely
    if len(model.sets.pooled) == model.n_classes:
        few = "no class has enough held-out examples for a threshold of its own"
        sets = f"Prediction sets are made to hold the true class for {share} of all examples together; {few}"
    else:
        sets = f"Prediction sets are made to hold the true class for {share} of the examples of each class"
        if pooled == 1:
            sets += "; one class has too few held-out examples to be certain of that"
        elif pooled and model.sets.thresholds[model.sets.pooled[0]] == model.sets.marginal:
            sets += f"; {pooled:,} classes have too few held-out examples, even together, to be certain of that"
        elif pooled:
            sets += (
                f"; {pooled:,} classes with few held-out examples share one threshold, so it holds for them together"
            )
    if lonely:
        sets += f"; nothing is known of {plural(lonely, 'class', 'classes')} whose one example cannot be held out"
    return [
        prior,
        f"{sets}. On the test data they held it for {100 * evaluation['coverage']:.3g} %, as a mean over classes.",
    ]


def mistakes(data: Dataset, answer: Answer) -> list[Example]:
    """Return the most confident wrong predictions."""
    assert data.labels is not None
    confidence = answer.proba[np.arange(len(data)), answer.predicted]
    wrong = np.flatnonzero((data.labels >= 0) & (answer.predicted != data.labels))
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_EXAMPLES]
    return [_example(data, int(i), answer.predicted, confidence) for i in worst]


def _example(data: Dataset, i: int, codes: NDArray[np.int64], confidence: NDArray[np.float64]) -> Example:
    assert data.labels is not None
    shown: dict[str, Any] = {}
    if data.kind == "image":
        shown["image"] = thumbnail(data.inputs[i])
    elif data.kind == "text":
        shown["text"] = str(data.inputs[i])[:400]
    elif data.kind == "table":
        row = data.inputs.row(i, named=True)
        shown["fields"] = {name: str(value) for name, value in list(row.items())[:_FIELDS] if value is not None}
    return Example(
        true=data.classes[data.labels[i]],
        predicted=data.classes[codes[i]],
        confidence=float(confidence[i]),
        id=str(data.ids[i]),
        **shown,
    )
