import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tailwise.diagnose.leaks import held_out_lambda, told_class, value_codes

N = 4000
RNG = np.random.default_rng(0)
LABELS = RNG.choice(4, N, p=[0.9, 0.07, 0.02, 0.01])


@pytest.mark.parametrize(
    "values",
    [
        LABELS,
        LABELS.astype(float),
        LABELS + RNG.normal(0, 0.01, N),
        np.array(["a", "b", "c", "d"])[LABELS],
        np.sort(RNG.random(N))[np.argsort(np.argsort(LABELS, kind="stable"))],  # numbered class by class
    ],
    ids=["codes", "floats", "noisy", "names", "order"],
)
def test_a_copy_of_the_label_explains_all(values):
    assert held_out_lambda(value_codes(pl.Series(values)), LABELS) > 0.95


@pytest.mark.parametrize(
    "values",
    [np.arange(N), RNG.permutation(N).astype(str), RNG.random(N), RNG.integers(0, 50, N), np.zeros(N), [None] * N],
    ids=["rows", "words", "noise", "codes", "constant", "nothing"],
)
def test_what_says_nothing_explains_nothing(values):
    shuffled = RNG.permutation(LABELS)
    assert held_out_lambda(value_codes(pl.Series(values)), shuffled) < 0.05


def test_missing_values_can_leak():
    values = pl.Series(np.where(LABELS > 0, 1.0, np.nan))
    binary = (LABELS > 0).astype(np.int64)
    assert held_out_lambda(value_codes(values), binary) == 1.0
    assert held_out_lambda(value_codes(values.fill_nan(None)), binary) == 1.0


def test_booleans_dates_and_categories_are_understood():
    binary = (LABELS > 0).astype(np.int64)
    days = pl.Series(binary).cast(pl.Int32).cast(pl.Date)
    for values in (pl.Series(binary == 1), days, pl.Series(binary).cast(pl.String).cast(pl.Categorical)):
        assert held_out_lambda(value_codes(values), binary) == 1.0


def test_data_shuffled_with_seed_zero_is_no_trap():
    labels = np.repeat([0, 1], [300, 300])[np.random.default_rng(0).permutation(600)]
    assert held_out_lambda(value_codes(pl.Series(labels)), labels) == 1.0


def test_too_few_rare_rows_cannot_be_judged():
    labels = np.r_[np.zeros(1000, dtype=int), np.ones(19, dtype=int)]
    assert held_out_lambda(value_codes(pl.Series(labels)), labels) is None
    assert held_out_lambda(value_codes(pl.Series([], dtype=pl.Int64)), np.zeros(0, dtype=np.int64)) is None


@given(st.integers(2, 6), st.integers(1, 6), st.integers(0, 99))
@settings(max_examples=30)
def test_lambda_is_that_of_a_plain_loop(n_classes, n_values, seed):
    rng = np.random.default_rng(seed)
    labels, values = rng.integers(0, n_classes, 400), rng.integers(0, n_values, 400)
    labels[:n_values] = 0
    right = usual = 0
    first = np.random.default_rng(seed + 1).permutation(400) < 200
    for learn in (first, ~first):
        most = np.bincount(labels[learn]).argmax()
        for v, y in zip(values[~learn], labels[~learn], strict=True):
            seen = np.bincount(labels[learn & (values == v)], minlength=1)
            best = np.flatnonzero(seen == seen.max())[-1] if seen.any() else most  # ties go to the higher code
            right += best == y
            usual += most == y
    expected = max(0.0, (right - usual) / (400 - usual))
    assert held_out_lambda(value_codes(pl.Series(values)), labels, seed + 1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", [int, str])
def test_an_identifier_of_groups_leaks_however_it_is_written(kind):
    """Ten rows of each of three hundred patients, who have one diagnosis each."""
    rng = np.random.default_rng(0)
    patient = rng.permutation(np.repeat(np.arange(300), 10))
    diagnosis = rng.integers(4, size=300)[patient]
    assert held_out_lambda(value_codes(pl.Series([kind(p) for p in patient])), diagnosis) > 0.95


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
@settings(max_examples=30)
def test_a_class_is_told_as_by_a_plain_loop(n_classes, n_values, seed):
    rng = np.random.default_rng(seed)
    members, values = rng.random((300, n_classes)) < 0.3, rng.integers(0, n_values, 300)
    members[:, 0] |= values == 0
    first = np.random.default_rng(seed + 1).permutation(300) < 150
    wrong, rest = np.zeros(n_classes), np.minimum(members.sum(axis=0), 300 - members.sum(axis=0))
    for learn in (first, ~first):
        for v, has in zip(values[~learn], members[~learn], strict=True):
            alike = members[learn & (values == v)]
            wrong += (alike.mean(axis=0) > 0.5 if len(alike) else False) != has
    judged = np.flatnonzero(rest >= 20)
    expected = 1 - wrong[judged] / rest[judged]
    code, clarity = told_class(value_codes(pl.Series(values)), csr_array(members, dtype=float), seed + 1)
    assert clarity == pytest.approx(expected.max())
    assert code in judged[expected > expected.max() - 1e-9]


def test_a_column_that_is_there_for_one_rare_class_tells_it():
    one = csr_array(np.eye(4)[LABELS])
    cases = pl.Series([f"case {i}" if label == 3 else None for i, label in enumerate(LABELS)])
    assert told_class(value_codes(cases), one) == (3, 1.0)
    assert held_out_lambda(value_codes(cases), (LABELS == 3).astype(np.int64)) == 1.0
    assert told_class(value_codes(pl.Series(RNG.permutation(LABELS))), one)[1] < 0.5
    several = csr_array(np.column_stack([LABELS == 3, RNG.random(N) < 0.5]), dtype=float)
    assert (
        told_class(value_codes(pl.Series(np.where(LABELS == 3, RNG.normal(9, 1, N), RNG.random(N)))), several)[0] == 0
    )


def test_classes_in_nearly_no_row_or_in_all_cannot_be_judged():
    members = np.zeros((500, 2))
    members[:19, 0] = members[:490, 1] = 1
    assert told_class(value_codes(pl.Series(members[:, 0])), csr_array(members)) is None
