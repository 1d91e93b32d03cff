"""What the report's sentences and pictures say is what the numbers are."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tailwise.metrics import evaluate
from tailwise.report import Report, charts, render, words

COUNTS = [500, 450, 90, 5, 4]
CLASSES = list("abcde")
RIGHT = {0: 10, 1: 8, 2: 5, 3: 2, 4: 0}
WRONG = {(1, 0): 2, (2, 0): 5, (3, 0): 6, (3, 2): 2, (4, 1): 1}  # (true, predicted) -> examples


def measured(right, wrong):
    pairs = [(c, c, n) for c, n in right.items()] + [(t, p, n) for (t, p), n in wrong.items()]
    labels, predicted = (np.repeat([pair[i] for pair in pairs], [pair[2] for pair in pairs]) for i in (0, 1))
    return evaluate(labels, predicted, class_counts=COUNTS, class_names=CLASSES, n_bootstrap=20).to_dict()


@pytest.fixture(scope="module")
def evaluation():
    return measured(RIGHT, WRONG)


def plain(sentence):
    return sentence.replace("\N{NON-BREAKING HYPHEN}", "-").replace("\N{NARROW NO-BREAK SPACE}", " ")


def drawn(picture, tag, kind=""):
    """Return the attributes of the elements of a tag whose class begins so."""
    found = [e.attrib for e in ElementTree.fromstring(picture).iter(tag) if e.get("class", "").startswith(kind)]
    return [{k: float(v.rstrip("%")) for k, v in e.items() if k not in ("class", "text-anchor")} for e in found]


def test_the_tail_is_told_in_numbers(evaluation):
    sentence = "2 of 5 classes hold half of the 1,049 training examples; the largest class is 125 times the smallest."
    assert words.distribution(evaluation) == sentence
    assert words.distribution({**evaluation, "class_counts": [7, 6]}) == "The 2 classes are about equally frequent."


def test_plain_training_that_does_better_by_the_objective_is_told():
    def measured(value, low=None, high=None):
        return {"overall": {"macro_f1": {"value": value, "low": low, "high": high}}}

    said = "By its objective, macro f1, plain training does better on these test examples: 0.600, not 0.500"
    assert words.behind(measured(0.5), measured(0.6), "macro_f1") == f"{said}."
    assert words.behind(measured(0.5, 0.4, 0.55), measured(0.6, 0.56, 0.7), "macro_f1") == f"{said}."
    sure = f"{said}; their intervals overlap, so this may be chance."
    assert words.behind(measured(0.5, 0.4, 0.58), measured(0.6, 0.56, 0.7), "macro_f1") == sure
    assert words.behind(measured(0.6), measured(0.6), "macro_f1") is None
    assert words.behind(measured(0.6), None, "macro_f1") is None
    assert words.behind(measured(0.5), measured(0.6), "balanced_accuracy") is None


def test_the_worst_classes_are_those_with_the_lowest_recall(evaluation):
    assert words.worst(evaluation) == "; the worst class is e"
    assert words.worst(measured({**RIGHT, 3: 0}, {(3, 0): 1, (4, 1): 1})) == "; the worst classes are d, e"
    assert words.worst(measured(RIGHT | {4: 1}, {})) == ""
    assert words.worst(measured({2: 5}, {})) == "; the worst class is c"


def test_confused_examples_have_their_thousands_apart():
    page = render(Report("t", measured({0: 4000, 1: 8}, {(0, 1): 1200})))
    assert "<td>1,200 of 5,200</td>" in page


def test_the_fall_from_head_to_tail_is_told_beside_plain_training(evaluation):
    rising = measured({**RIGHT, 1: 3, 3: 10}, {(1, 0): 7})
    said = plain(words.by_size(evaluation, rising))
    assert (
        said
        == "From many-shot to few-shot classes recall falls by 80 points; with plain training it rises by 35 points."
    )


def test_the_numbers_under_the_verdict_stand_beside_plain_training(evaluation):
    page = plain(render(Report("x", evaluation, measured({**RIGHT, 1: 3, 3: 10}, {(1, 0): 7}))))
    for group, ours, theirs in (
        ("Average class", 50, 82),
        ("Many-shot classes", 90, 65),
        ("Few-shot classes", 10, 100),
    ):
        assert re.search(
            rf"{group}</dt><dd><strong>{ours} %</strong>[^/]*/span>\s*<span>plain training {theirs} %", page
        )


@pytest.mark.parametrize(
    ("gap", "said"), [(0.104, "10 points"), (0.0096, "1 point"), (0.0094, "0.9 points"), (0.014, "1 point")]
)
def test_points_are_rounded_as_they_are_read(gap, said):
    assert words._points(gap) == said


@pytest.mark.parametrize(
    ("high", "sure"), [(0.65, "its interval lies above all"), (0.66, "its interval overlaps with that of one other")]
)
def test_a_choice_is_sure_where_its_interval_lies_above(high, sure):
    rows = [
        {"recipe": "good", "score": 0.7, "low": 0.66, "high": 0.74, "outcome": "selected", "reason": ""},
        {"recipe": "fair", "score": 0.6, "low": 0.55, "high": high, "outcome": "compared", "reason": ""},
    ]
    assert sure in words.comparison(rows, "balanced accuracy")


def test_a_choice_that_did_not_score_highest_is_explained():
    rows = [
        {
            "recipe": "best",
            "score": 0.72,
            "low": 0.6,
            "high": 0.8,
            "outcome": "passed over",
            "reason": "better by less than a standard error",
        },
        {"recipe": "good", "score": 0.7, "low": 0.6, "high": 0.8, "outcome": "selected", "reason": ""},
    ]
    said = words.comparison(rows, "balanced accuracy")
    assert said.startswith("good was chosen")
    assert "best scored higher, but by less than a standard error" in said
    assert "better by less than a standard error" in charts.comparison(rows)
    rows[0] |= {"outcome": "compared", "reason": ""}
    assert "standard error" not in words.comparison(rows, "balanced accuracy")


def test_mistakes_go_where_they_are_said_and_drawn_to_go(evaluation):
    shares = charts.flow(evaluation)
    assert shares["many"] == pytest.approx({"right": 18 / 20, "many": 2 / 20, "medium": 0, "few": 0})
    assert shares["few"] == pytest.approx({"right": 2 / 11, "many": 7 / 11, "medium": 2 / 11, "few": 0})
    assert plain(words.mistakes(shares)) == (
        "82 % of few-shot examples are predicted wrong; 78 % of those are taken for a many-shot class."
    )
    bars = drawn(charts.confusion(shares), "rect")[-4:]
    np.testing.assert_allclose([bar["width"] for bar in bars], [100 * v for v in shares["few"].values()], atol=1e-3)
    np.testing.assert_allclose([bar["x"] for bar in bars], [0, 200 / 11, 900 / 11, 100], atol=1e-3)


def test_pairs_seen_more_than_once_come_first(evaluation):
    found = [(pair["true"], pair["predicted"], pair["count"]) for pair in charts.pairs(evaluation)]
    assert found == [("d", "a", 6), ("c", "a", 5), ("b", "a", 2), ("d", "c", 2), ("e", "b", 1)]


def cells(right, confidence):
    return {"count": [10], "right": [right], "confidence": [confidence]}


@pytest.mark.parametrize(
    ("few", "said"),
    [
        (cells(4, 5), "Predictions of few-shot classes are the furthest off: 10 points too confident on average."),
        (cells(6, 5), "Predictions of few-shot classes are the furthest off: 10 points too cautious on average."),
        (cells(6, 6.1), "On average, confidence matches accuracy within 2 points in every group."),
    ],
)
def test_calibration_is_told_of_the_group_that_is_furthest_off(few, said):
    evaluation = {"reliability": {"all": cells(1, 9), "many": cells(9, 9.1), "few": few}}
    assert plain(words.calibration(evaluation)) == said


def test_a_single_prediction_says_nothing_of_calibration():
    one = {"count": [1], "right": [1], "confidence": [0.6]}
    evaluation = {"reliability": {"all": cells(1, 9), "many": cells(9, 8), "few": one}}
    assert plain(words.calibration(evaluation)).startswith("The model is 10 points too cautious")
    assert "too few to say" in words.calibration({"reliability": {"all": one, "many": one, "few": one}})


def test_confident_mistakes_are_drawn_below_the_line():
    (dot,) = drawn(charts.reliability("few", cells(4, 6)), "circle")
    assert (dot["cx"], dot["cy"]) == (60, 150 * 0.6)


def test_classes_are_drawn_at_their_size_and_recall(evaluation):
    dots = drawn(charts.by_size(evaluation), "circle", "dot")
    np.testing.assert_allclose([dot["cy"] for dot in dots], [0, 60, 150, 240, 300], atol=1e-3)
    across = np.diff([dot["cx"] for dot in dots])
    np.testing.assert_allclose(across / across.sum(), np.diff(np.log(COUNTS)) / np.log(4 / 500), atol=1e-3)


def test_bars_are_as_long_as_the_logarithms_of_the_counts(evaluation):
    bars = drawn(charts.distribution(CLASSES, COUNTS[::-1], evaluation["groups"]), "rect")
    lengths = np.array([bar["width"] for bar in bars])
    np.testing.assert_allclose(
        np.diff(lengths) / np.diff(lengths).sum(), np.diff(np.log(COUNTS)) / np.log(4 / 500), atol=1e-3
    )


def test_scores_are_drawn_in_order_and_in_proportion():
    rows = [
        {
            "recipe": "fair",
            "score": 0.6,
            "low": 0.5,
            "high": 0.65,
            "outcome": "dropped",
            "reason": "dropped after fold 1",
        },
        {"recipe": "good", "score": 0.7, "low": 0.6, "high": 0.8, "outcome": "selected", "reason": ""},
    ]
    picture = charts.comparison(rows)
    (best,) = drawn(picture, "circle", "score chosen")
    (worst,) = drawn(picture, "circle", "score dropped")
    low, high = ({row["x1"], row["x2"]} for row in drawn(picture, "line", "range"))
    assert best["cy"] < worst["cy"]
    ends = sorted(low | high)  # 0.5, 0.6, 0.65 and 0.8
    at = np.interp([0.5, 0.6, 0.65, 0.7, 0.8], [0.5, 0.8], [ends[0], ends[-1]])
    np.testing.assert_allclose([ends[0], worst["cx"], ends[2], best["cx"], ends[-1]], at, atol=1e-2)


@pytest.mark.parametrize(
    ("chosen", "other", "sentence"),
    [
        ((0.4, 0.6), (0.3, 0.5), "its interval overlaps with that of one other."),
        ((0.4, 0.6), (0.1, 0.2), "its interval lies above all others."),
        ((None, None), (0.1, 0.2), "there was no time for intervals."),
        ((0.4, 0.6), (None, None), "there was no time for intervals."),
    ],
)
def test_intervals_that_were_not_drawn_are_not_spoken_of(chosen, other, sentence):
    rows = [
        {"recipe": "a", "score": 0.5, "low": chosen[0], "high": chosen[1], "outcome": "selected", "reason": ""},
        {"recipe": "b", "score": 0.15, "low": other[0], "high": other[1], "outcome": "compared", "reason": ""},
    ]
    assert words.comparison(rows, "score").endswith(sentence)
