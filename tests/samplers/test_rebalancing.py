"""Adaptive data rebalancing, against a plain reading of its rule."""

import re

import numpy as np
import pytest
from scipy import sparse

from tailwise.errors import TailwiseError
from tailwise.samplers import entity_rebalancing

RNG = np.random.default_rng(0)
WORDS = (RNG.random((40, 12)) < 0.9 / np.arange(1, 13)).astype(int)
OBJECTS = (RNG.random((40, 5)) < 0.6 / np.arange(1, 6)).astype(int)
WORDS[0] = OBJECTS[0] = 0  # an example without entities


def plainly(perspectives: list[np.ndarray], thresholds: list[float], passes: int, share: float, rng) -> list[int]:
    """Draw for one entity after the other, until one lets the example pass."""
    kept, totals = [], [has.sum(axis=0) for has in perspectives]
    for row in range(len(perspectives[0])):
        passed = 0
        for has, total, threshold in zip(perspectives, totals, thresholds, strict=True):
            for entity in np.flatnonzero(has[row]):
                if rng.random() < threshold / total[entity]:
                    passed += 1
                    break
        if passed >= passes and rng.random() < share:
            kept.append(row)
    return kept


@pytest.mark.parametrize(("passes", "share"), [(1, 1.0), (2, 1.0), (1, 0.6)])
def test_keeps_each_example_as_often_as_the_rule_says(passes: int, share: float) -> None:
    runs, thresholds = 600, [4.0, 3.0]
    ours, theirs = np.zeros(40), np.zeros(40)
    rng = np.random.default_rng(1)
    for seed in range(runs):
        kept = entity_rebalancing(WORDS, OBJECTS, thresholds=thresholds, passes=passes, share=share, random_state=seed)
        ours[kept] += 1
        theirs[plainly([WORDS, OBJECTS], thresholds, passes, share, rng)] += 1
    spread = np.sqrt((theirs * (1 - theirs / runs) + 1) * 2)
    assert (np.abs(ours - theirs) < 4.5 * spread).all()
    assert ours[0] == 0


def test_the_tail_stays_whole_and_the_threshold_leaves_it_a_tenth() -> None:
    counts = [1, 1, 2, 4, 5, 67]  # 80 occurrences: up to 4 examples an entity they are a tenth
    has = np.zeros((80, 6), dtype=int)
    has[np.arange(80), np.repeat(np.arange(6), counts)] = 1
    kept = entity_rebalancing(has, random_state=0)
    assert has[kept].sum(axis=0)[:4].tolist() == counts[:4]
    shown = np.mean([has[entity_rebalancing(has, random_state=seed)].sum(axis=0)[4:] for seed in range(300)], axis=0)
    np.testing.assert_allclose(shown, 4, atol=0.5)
    one = np.ones((5, 1), dtype=int)
    assert len(entity_rebalancing(one)) == 5


def test_sparse_is_the_same_and_the_seed_decides() -> None:
    first = entity_rebalancing(WORDS, random_state=3)
    np.testing.assert_array_equal(entity_rebalancing(sparse.csr_array(WORDS), random_state=3), first)
    assert not np.array_equal(entity_rebalancing(WORDS, random_state=4), first)


@pytest.mark.parametrize(
    ("perspectives", "settings", "message"),
    [
        ([], {}, "at least one perspective"),
        ([[0, 1, 1]], {}, "is an (n, n_entities) indicator"),
        ([WORDS, OBJECTS[:-1]], {}, "the same number of rows; got [40, 39]"),
        ([WORDS], {"passes": 2}, "passes must be from 1 to the 1 perspectives"),
        ([WORDS], {"share": 0}, "share from 0 to 1"),
        ([WORDS], {"thresholds": [1, 2]}, "thresholds must be 1 numbers above 0"),
        ([WORDS * 2], {}, "must be an indicator of 0 and 1, but row "),
    ],
)
def test_one_line_for_what_cannot_be(perspectives: list, settings: dict, message: str) -> None:
    with pytest.raises(TailwiseError, match=re.escape(message)):
        entity_rebalancing(*perspectives, **settings)
