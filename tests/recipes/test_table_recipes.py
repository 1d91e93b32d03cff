"""What recipes for scikit-learn classifiers train on: how many rows of each class, and which."""

from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.tree import DecisionTreeClassifier

from tailwise import resample
from tailwise.engine.stage import Task
from tailwise.recipes import recipe

COUNTS = np.array([300, 60, 30, 12])
RAISED = np.maximum(COUNTS, COUNTS.sum() // 4)  # to the mean
LOWERED = np.minimum(COUNTS, 45)  # to the median


def table() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(4), COUNTS))
    return 1.5 * np.eye(4, 5)[y] + rng.normal(size=(len(y), 5)), y


def fitted(name: str, base: Any) -> Any:
    built = recipe(name).estimator(base, Task(COUNTS))
    seeds = {key: 0 for key in built.get_params() if key.endswith("random_state")}
    return built.set_params(**seeds).fit(*table())


def learned_from(name: str) -> tuple[Any, Any]:
    """Return the rows and the labels that the classifier was given; one that stores them says which."""
    inner = fitted(name, KNeighborsClassifier(1)).estimator_
    return inner._fit_X, inner._y


EXACT = {
    **dict.fromkeys(["random-over-sampling", "smote", "gaussian-over-sampling", "mixup-over-sampling"], RAISED),
    **dict.fromkeys(["borderline-smote", "svm-smote", "kmeans-smote"], RAISED),
    **dict.fromkeys(["random-under-sampling", "near-miss", "cluster-centroids"], LOWERED),
}


@pytest.mark.parametrize("name", list(EXACT))
def test_classes_are_raised_to_the_mean_count_or_lowered_to_the_median(name: str) -> None:
    rows, labels = learned_from(name)
    np.testing.assert_array_equal(np.bincount(labels), EXACT[name])
    x, _ = table()
    whole = (rows[:, None] == x).all(axis=2).any(axis=0).sum()  # rows of the table that are still there
    if name == "cluster-centroids":  # a cluster of one row has it for its centre
        assert COUNTS[2:].sum() <= whole < LOWERED.sum()
    else:
        assert whole == (len(x) if EXACT[name] is RAISED else LOWERED.sum())


def test_adasyn_raises_to_about_the_mean_count() -> None:
    np.testing.assert_allclose(np.bincount(learned_from("adasyn")[1]), RAISED, rtol=0.1)


def test_instance_hardness_lowers_to_the_median() -> None:
    base = DecisionTreeClassifier(max_depth=3, random_state=0)
    x, y = table()
    resampler = recipe("instance-hardness").estimator(base, Task(COUNTS)).resampler
    np.testing.assert_array_equal(np.bincount(resampler.fit_resample(x, y)[1]), LOWERED)


@pytest.mark.parametrize("name", ["tomek-links", "edited-nearest-neighbours"])
def test_cleaning_leaves_classes_of_the_median_count_and_fewer_whole(name: str) -> None:
    found = np.bincount(learned_from(name)[1])
    np.testing.assert_array_equal(found[2:], COUNTS[2:])
    assert (found[:2] < COUNTS[:2]).all()


@pytest.mark.parametrize("name", ["smote-tomek", "smote-enn"])
def test_smote_is_followed_by_cleaning_of_every_class(name: str) -> None:
    x, y = table()
    smote, cleaned = (recipe(of).estimator(KNeighborsClassifier(1), Task(COUNTS)).resampler for of in ("smote", name))
    rows, labels = smote.set_params(random_state=0).fit_resample(x, y)
    around = NearestNeighbors(n_neighbors=4).fit(rows).kneighbors(rows, return_distance=False)[:, 1:]
    foreign = labels[around] != labels[:, None]
    nearest = around[:, 0]
    linked = foreign[:, 0] & (nearest[nearest] == np.arange(len(rows)))
    kept = ~(linked if name == "smote-tomek" else foreign.any(axis=1))
    found, found_labels = cleaned.set_params(random_state=0).fit_resample(x, y)
    np.testing.assert_array_equal(found, rows[kept])
    np.testing.assert_array_equal(found_labels, labels[kept])
    assert (np.bincount(labels[~kept], minlength=4) > 0).sum() > 1


@pytest.mark.parametrize("name", ["balanced-bagging", "self-paced-ensemble"])
def test_bags_have_the_median_count_of_every_class(name: str) -> None:
    members = fitted(name, KNeighborsClassifier(1)).estimators_
    assert len(members) == 10
    for member in members:
        np.testing.assert_array_equal(np.bincount(member._y), [45] * 4)


def test_easy_ensemble_boosts_ten_bags_for_four_rounds() -> None:
    members = fitted("easy-ensemble", DecisionTreeClassifier(max_depth=2)).estimators_
    assert [member.n_estimators for member in members] == [4] * 10


def test_rusboost_learns_from_samples_of_the_median_count() -> None:
    classifier = fitted("rusboost", DecisionTreeClassifier(max_depth=2))
    assert classifier.n_estimators == 10
    assert {int(member.tree_.n_node_samples[0]) for member in classifier.estimators_} == {4 * 45}


@pytest.mark.parametrize("name", ["class-weighted", "class-weighted-sqrt", "effective-number"])
def test_sample_weights_follow_the_counts(name: str) -> None:
    n = COUNTS.astype(float)
    expected = {
        "class-weighted": 1 / n,
        "class-weighted-sqrt": 1 / np.sqrt(n),
        "effective-number": (1 - 0.9999) / (1 - 0.9999**n),
    }[name]
    classifier = fitted(name, DecisionTreeClassifier(max_depth=3))
    assert isinstance(classifier, resample.WeightedClassifier)
    found = classifier.class_weights_
    np.testing.assert_allclose(found / found[0], expected / expected[0])
