"""What every part takes alike: false and true as class codes, and any seed."""

import numpy as np
import pytest

from tailwise import metrics, posthoc
from tailwise.counts import class_counts
from tailwise.data import make_long_tailed, stratified_folds, stratified_split
from tailwise.errors import TailwiseError
from tailwise.samplers import ClassBalancedSampler, entity_rebalancing

CODES = np.repeat([0, 1], (30, 10))
SCORES = np.random.default_rng(0).normal(size=(40, 2)) + np.eye(2)[CODES]
PARTS = {
    "counts": lambda y: class_counts(y).tolist(),
    "evaluation": lambda y: metrics.evaluate(y, y[::-1], class_counts=[30, 10]).to_dict(),
    "sampler": lambda y: list(ClassBalancedSampler(y)),
    "split": lambda y: [part.tolist() for part in stratified_split(y, 0.2, random_state=0)],
    "temperature": lambda y: repr(posthoc.fit_temperature(SCORES, y)),
    "prior": lambda y: posthoc.estimate_prior_bbse(y, y, y, 2).tolist(),
    "profile": lambda y: make_long_tailed(y, [10, 5], random_state=0).tolist(),
}


@pytest.mark.parametrize("part", PARTS)
def test_false_and_true_are_the_codes_0_and_1(part):
    assert PARTS[part](CODES.astype(bool)) == PARTS[part](CODES)


SEEDED = {
    "split": lambda seed: stratified_split(CODES, 0.2, random_state=seed),
    "folds": lambda seed: list(stratified_folds(CODES, 2, random_state=seed)),
    "evaluation": lambda seed: metrics.evaluate(CODES, CODES[::-1], class_counts=[30, 10], random_state=seed),
    "re-balancing": lambda seed: entity_rebalancing(np.eye(2)[CODES], random_state=seed),
}


@pytest.mark.parametrize("part", SEEDED)
def test_seeds_are_those_of_scikit_learn_and_numpy_and_others_are_refused_in_one_line(part):
    for seed in (3, np.random.default_rng(3), np.random.RandomState(3), None):
        SEEDED[part](seed)
    for seed in ("a", 1.5, -1):
        with pytest.raises(TailwiseError, match=f"random_state must be a whole number from 0.*; got {seed!r}"):
            SEEDED[part](seed)
