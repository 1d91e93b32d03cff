"""Binned rankings are exact for the binned scores, and as near to the scores as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from tailwise.metrics.bins import SCORE_BINS, score_bins
from tailwise.metrics.influence import average_precision_at, by_class_at, roc_auc_at


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_bins_keep_the_order(values):
    proba = np.sort(np.array(values))
    for dtype in (np.float32, np.float64):
        found = score_bins(proba.astype(dtype))
        assert (np.diff(found) >= 0).all()
        assert found.min() >= 0
        assert found.max() < SCORE_BINS


def test_bins_use_their_range_and_their_width_is_as_stated():
    assert score_bins(np.array([0.0, 1.0])).tolist() == [0, SCORE_BINS - 1]
    proba = np.concatenate([np.geomspace(1e-12, 0.5, 20_000), 1 - np.geomspace(0.5, 1e-6, 20_000)])
    found = score_bins(proba)
    distance = np.minimum(proba, 1 - proba)
    for b in np.unique(found):
        inside = distance[found == b]
        assert inside.max() / inside.min() <= 17 / 16 + 1e-6


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.floats(0, 3), st.floats(0.1, 6))
def test_ranking_of_bins(seed, shift, spread):
    rng = np.random.default_rng(seed)
    label = np.arange(300) < rng.integers(1, 299)
    score = 1 / (1 + np.exp(-spread * (rng.normal(size=300) + shift * label)))
    in_bins = score_bins(score)
    positive, negative = (np.bincount(in_bins[own], minlength=SCORE_BINS) for own in (label, ~label))
    area, precision = (
        by_class_at(at, positive[None], negative[None]).values[0] for at in (roc_auc_at, average_precision_at)
    )
    assert area == pytest.approx(roc_auc_score(label, in_bins))
    assert precision == pytest.approx(average_precision_score(label, in_bins))
    tied = positive @ negative / (2 * positive.sum() * negative.sum())
    assert abs(area - roc_auc_score(label, score)) <= tied + 1e-12
