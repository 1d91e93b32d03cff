"""A fit that was killed goes on from where it was, and ends as it would have."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression

from estimators.cases import digits, quick, table
from forked import finish, start
from tailwise.errors import TailwiseError
from tailwise.identity import describe

pytestmark = pytest.mark.filterwarnings("ignore:scipy.optimize. The `disp`:DeprecationWarning")


def kept(folder: Path) -> set[tuple[str, int]]:
    """The files that the work folder holds, and of which moment. Where they vanish meanwhile, they are not there."""
    found = set()
    for place, _, names in os.walk(folder):  # which passes over folders that vanish
        for path in (Path(place, name) for name in names if not name.startswith(".")):
            with suppress(FileNotFoundError):
                found.add((str(path), path.stat().st_mtime_ns))
    return found


def test_killed_at_random_moments_and_run_again_ends_the_same(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from estimators.killable import fit

    finish(start(fit, None, tmp_path / "whole.npy"))
    rng = np.random.default_rng(3)
    folder, out, kills = tmp_path / "work", tmp_path / "killed.npy", 0
    while kills < 3:
        before = kept(folder)
        process = start(fit, folder, out)
        while process.is_alive() and kept(folder) == before:  # let it get a little further, or it would never end
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.6))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            break
        kills += 1
    assert kills >= 2
    finish(start(fit, folder, out))
    np.testing.assert_array_equal(np.load(out), np.load(tmp_path / "whole.npy"))


def test_what_is_finished_is_not_fitted_again(tmp_path: Path) -> None:
    x, y = table()
    lines: list[str] = []
    settings: dict[str, Any] = {"work_dir": tmp_path, "verbose": lines.append}
    first = quick(["cross-entropy", "class-weighted"], **settings).fit(x, y)
    assert sum("fold" in line for line in lines) == 6
    lines.clear()
    again = quick(["cross-entropy", "class-weighted"], **settings).fit(x, y)
    assert not any("fold" in line for line in lines)
    np.testing.assert_array_equal(again.predict_proba(x), first.predict_proba(x))
    took = [[row.seconds for row in fit.comparison_] for fit in (first, again)]
    assert took[0] == took[1], "what was finished took as long as it took"
    assert min(took[0]) > 0
    more = quick(["cross-entropy", "class-weighted", "class-weighted-sqrt"], **settings).fit(x, y)
    assert sum("fold" in line for line in lines) == 3, "more recipes may be added"
    assert len(more.comparison_) == 3


@pytest.mark.parametrize(
    "other",
    [{"random_state": 1}, {"cv": 4}, {"estimator__C": 0.1}, {"x": 1.0}, {"y": 1}, {"sparse": True}],
    ids=lambda other: next(iter(other)),
)
def test_work_of_other_data_or_options_is_refused(other: dict[str, Any], tmp_path: Path) -> None:
    x, y = table()
    quick("cross-entropy", work_dir=tmp_path).fit(x, y)
    if "x" in other:
        x = x + other.pop("x")
    if "y" in other:
        y = (y + other.pop("y")) % 3
    if other.pop("sparse", False):
        from scipy import sparse

        x = sparse.csr_array(x)
    changed = "data" if not other else next(iter(other)).split("__")[0]
    with pytest.raises(TailwiseError, match=f"with different .*{changed}.*: resume with the same") as raised:
        quick("cross-entropy", work_dir=tmp_path).set_params(**other).fit(x, y)
    assert "\n" not in str(raised.value)


def test_another_seed_is_not_called_other_data(tmp_path: Path) -> None:
    x, y = table()
    quick("cross-entropy", work_dir=tmp_path).fit(x, y)
    with pytest.raises(TailwiseError, match="with different random_state: resume"):
        quick("cross-entropy", work_dir=tmp_path, random_state=1).fit(x + 1, y)  # as rows held out by another seed


def test_recipes_of_one_name_and_other_settings_do_not_share_work(tmp_path: Path) -> None:
    from tailwise.recipes import recipe

    x, y = table(spread=2.0)
    two = [recipe("effective-number", beta=0.5), recipe("effective-number", beta=0.9999)]
    alone = [quick(one, cv=0.4).fit(x, y).comparison_[0].score for one in two]
    together = quick(two, cv=0.4, work_dir=tmp_path).fit(x, y)
    assert [row.score for row in together.comparison_] == pytest.approx(alone)


def test_a_fit_in_limited_time_resumes_with_what_was_planned(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    x, y, new, _ = digits()
    settings: dict[str, Any] = {"backbone": "mlp", "epochs": 8, "cv": 0.3, "work_dir": tmp_path}
    first = quick("cross-entropy", **settings, time_budget="0.2s").fit(x, y)
    assert json.loads((tmp_path / "epochs.json").read_text()) == 4, "too little time for eight"
    for path in tmp_path.rglob("*all*/*"):
        path.unlink()
    again = quick("cross-entropy", **settings, time_budget="0.2s").fit(x, y)
    np.testing.assert_array_equal(again.predict_proba(new), first.predict_proba(new))
    with pytest.raises(TailwiseError, match="with different time_budget: resume"):
        quick("cross-entropy", **settings, time_budget="9m").fit(x, y)


def test_a_rare_class_is_there_when_an_epoch_is_timed() -> None:
    pytest.importorskip("torch")
    x, y = table((5000, 4))
    fitted = quick("cross-entropy", backbone="mlp", epochs=4, cv=0.3, time_budget="2s").fit(x, y)
    assert fitted.class_counts_.tolist() == [5000, 4]
    assert np.isfinite(fitted.predict_proba(x)).all()


def test_boosting_in_limited_time_resumes_with_what_was_planned(tmp_path: Path) -> None:
    x, y = table((4000, 300, 40))
    settings: dict[str, Any] = {"estimator": None, "time_budget": "0.5s", "cv": 0.3, "work_dir": tmp_path}
    first = quick("cross-entropy", **settings).fit(x, y)
    assert first.model_.learner.estimator.n_rows_used_ < 4340
    again = quick("cross-entropy", **settings).fit(x, y)
    np.testing.assert_array_equal(again.predict_proba(x), first.predict_proba(x))


def test_boosting_of_many_classes_in_limited_time_gets_fewer_iterations() -> None:
    y = np.repeat(np.arange(200), 3)
    x = np.random.default_rng(0).normal(size=(600, 2)) + y[:, None]
    model = quick("cross-entropy", estimator=None, time_budget="1s", cv=0.3).fit(x, y).model_
    assert model.learner.estimator.max_iter < 50, "as many as 200 classes get where time is no matter"


def test_a_fit_without_a_seed_resumes_with_the_one_it_began_with(tmp_path: Path) -> None:
    x, y = table(spread=2.0)
    first, again = (
        quick(["cross-entropy", "class-weighted"], random_state=None, work_dir=tmp_path).fit(x, y) for _ in range(2)
    )
    assert [row.score for row in first.comparison_] == [row.score for row in again.comparison_]


def test_options_are_described_alike_in_every_process() -> None:
    from sklearn.metrics import f1_score, make_scorer

    assert describe(table) == describe(table).split(" at ")[0]
    assert "0x" not in describe(make_scorer(f1_score)) + describe(np.random.RandomState(0))
    cost = np.zeros((60, 60))
    other = cost.copy()
    other[30, 30] = 1
    assert describe(cost) != describe(other)


def test_options_are_described_alike_whatever_the_order_of_sets() -> None:
    code = """
import numpy as np
from tailwise.identity import describe
held = np.arange(300_000.0)
print(describe([lambda x: x in {"a", "b", "c"}, {"x", "y", "z"}, lambda: held, np.random.RandomState(0)]))
"""
    texts = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert len(texts[0]) < 2000, "arrays are told by their hash"


@dataclass
class Held:
    """What an option of the user's may be."""

    numbers: np.ndarray
    function: Callable[[], int]


def test_options_that_differ_are_described_differently() -> None:
    def of(width: int) -> Callable[[], int]:
        return lambda: width

    def around(inner: Callable[[], int]) -> Callable[[], int]:
        return lambda: inner()

    long = [ColumnTransformer([(f"step {i}", "passthrough", [name]) for i in range(40)]) for name in "ab"]
    pairs = [
        (of(1), of(2)),
        (lambda x: x + 1, lambda x: x + 2),
        (partial(max, 1), partial(max, 2)),
        (around(lambda: 1), around(lambda: 2)),
        ({"a": of(1)}, {"a": of(2)}),
        (long[0], long[1]),
        (Held(np.zeros(5000), of(1)), Held(np.arange(5000) == 2500, of(1))),
        (Held(np.zeros(3), of(1)), Held(np.zeros(3), of(2))),
        (BaggingClassifier(LogisticRegression(C=1)), BaggingClassifier(LogisticRegression(C=2))),
    ]
    for one, two in pairs:
        assert describe(one) == describe(one)
        assert describe(one) != describe(two)
        assert "0x" not in describe(one)

    def forever() -> object:
        return forever

    assert "forever" in describe(forever)
    around_itself: list[object] = []
    around_itself.append(lambda: around_itself)
    assert describe(around_itself)


@pytest.mark.parametrize("file", ["seed.json", "fit.json"])
def test_a_damaged_file_of_a_fit_is_told_in_one_line(tmp_path: Path, file: str) -> None:
    quick(work_dir=tmp_path).fit(*table())
    (tmp_path / file).write_text("")
    with pytest.raises(TailwiseError, match=f"{file} is damaged: delete .*, and start the fit anew"):
        quick(work_dir=tmp_path).fit(*table())


@pytest.mark.parametrize("kind", ["estimator", "backbone"])
def test_a_class_that_was_changed_meanwhile_is_noticed(tmp_path: Path, kind: str) -> None:
    x, y = table()

    def fit(factor: float) -> None:
        if kind == "estimator":
            proba = lambda self, x: LogisticRegression.predict_proba(self, factor * x)  # noqa: E731
            own = type("Own", (LogisticRegression,), {"predict_proba": proba, "__module__": __name__})
            quick("cross-entropy", estimator=own(), work_dir=tmp_path).fit(x, y)
            return
        nn = pytest.importorskip("torch").nn
        forward = lambda self, x: factor * nn.Linear.forward(self, x)  # noqa: E731
        own = type("Own", (nn.Linear,), {"forward": forward, "__module__": __name__})
        quick("cross-entropy", backbone=partial(own, 3, 3), epochs=4, work_dir=tmp_path).fit(x, y)

    fit(1.0)
    fit(1.0)
    with pytest.raises(TailwiseError, match=f"with different {kind}"):
        fit(0.5)


def test_scores_that_were_damaged_are_made_again(tmp_path: Path) -> None:
    x, y = table()
    first = quick(["cross-entropy", "class-weighted"], work_dir=tmp_path).fit(x, y)
    for number, file in enumerate(sorted(tmp_path.glob("*.npz"))):
        file.write_bytes(file.read_bytes()[: 40 * number])
    again = quick(["cross-entropy", "class-weighted"], work_dir=tmp_path).fit(x, y)
    np.testing.assert_array_equal(again.predict_proba(x), first.predict_proba(x))
    (tmp_path / "file").touch()
    with pytest.raises(TailwiseError, match="file cannot be a folder: there is a file"):
        quick("cross-entropy", work_dir=tmp_path / "file").fit(x, y)
