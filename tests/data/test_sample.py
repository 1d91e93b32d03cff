"""A sample of a table on disk: exact counts, every row as likely, and memory that does not follow the file."""

import numpy as np
import polars as pl
import pytest

from tailwise.counts import capped_counts
from tailwise.data import load, sample, scan
from tailwise.data.sampled import _taken
from tailwise.errors import TailwiseError

COUNTS = {"007": 5000, "b": 300, "c": 40, "d": 1}


@pytest.fixture(params=["csv", "parquet"])
def path(request, tmp_path):
    labels = np.random.default_rng(0).permutation([*np.repeat(list(COUNTS), list(COUNTS.values())), *[""] * 50])
    frame = pl.DataFrame({"row": np.arange(len(labels)), "y": [label or None for label in labels]})
    file = tmp_path / f"big.{request.param}"
    getattr(frame, f"write_{request.param}")(file)
    return file


def test_the_tail_is_whole_and_the_counts_are_exact(path):
    data, counts = sample(path, "y", 500, random_state=0)
    assert data.classes == tuple(COUNTS)
    np.testing.assert_array_equal(counts, list(COUNTS.values()))
    np.testing.assert_array_equal(data.class_counts, capped_counts(counts, 500))
    rows = data.inputs["row"].to_numpy()
    assert len(set(rows)) == len(rows) <= 500
    labels = scan(path, as_text=["y"]).collect()["y"]
    np.testing.assert_array_equal(labels[rows].to_numpy(), data.class_labels[data.labels])
    again, other = (sample(path, "y", 500, random_state=seed)[0].inputs["row"].to_numpy() for seed in (0, 1))
    np.testing.assert_array_equal(again, rows)
    assert set(other) != set(rows)


def test_a_sample_larger_than_the_table_is_all_that_is_labelled(path):
    data, counts = sample(path, "y", 10**6)
    assert len(data) == counts.sum() == sum(COUNTS.values())


@pytest.mark.slow
def test_every_row_is_as_likely(tmp_path, monkeypatch):
    import tailwise.data.sampled as module

    whole = module.batches
    monkeypatch.setattr(module, "batches", lambda path, **options: whole(path, 7, **options))
    pl.DataFrame({"row": range(60), "y": ["a"] * 50 + ["b"] * 10}).write_parquet(tmp_path / "t.parquet")
    seen = np.zeros(60)
    for seed in range(100):
        seen[sample(tmp_path / "t.parquet", "y", 30, random_state=seed)[0].inputs["row"]] += 1
    assert (seen[50:] == 100).all(), "the tail is always there"
    share = seen[:50] / 100
    assert abs(share - 20 / 50).max() < 4.5 * np.sqrt(0.4 * 0.6 / 100)


@pytest.mark.parametrize("rest", [10**9 - 1, 10**9, 4 * 10**9])
def test_a_class_of_any_size_is_drawn_from(rest):
    """NumPy's hypergeometric distribution ends below a thousand million rows of a class."""
    here, wanted = np.array([5000, 60]), np.array([(rest + 5000) // 10, 20])
    drawn = np.stack([_taken(here, np.array([rest, 40]), wanted, np.random.default_rng(seed)) for seed in range(200)])
    expected, deviation = [500, 12], [np.sqrt(450), np.sqrt(20 * 0.6 * 0.4 * 80 / 99)]
    np.testing.assert_array_less(abs(drawn.mean(axis=0) - expected), 4 * np.array(deviation) / np.sqrt(200))
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.2)
    whole = _taken(here, np.array([rest, 40]), here + np.array([rest, 40]), np.random.default_rng(0))
    np.testing.assert_array_equal(whole, here)


def test_bad_input_is_one_line(path, tmp_path):
    with pytest.raises(TailwiseError, match="3 rows are fewer than the 4 classes"):
        sample(path, "y", 3)
    with pytest.raises(TailwiseError, match="'z'"):
        sample(path, "z", 30)
    pl.DataFrame({"y": ["a", "b"]}).write_csv(tmp_path / "only.csv")
    with pytest.raises(TailwiseError, match="no columns beside y"):
        sample(tmp_path / "only.csv", "y", 2)


def test_labels_are_read_as_load_reads_them(tmp_path):
    pl.DataFrame({"x": range(6), "y": ["Cat", "cat", "cat ", " cat", None, "Cat"]}).write_csv(tmp_path / "t.csv")
    pl.DataFrame({"x": range(4), "y": ["2", " 10", "10", "2"]}).write_csv(tmp_path / "n.csv")
    for name in ("t.csv", "n.csv"):
        data, counts = sample(tmp_path / name, "y", 10)
        whole = load(tmp_path / name, "y")
        assert data.class_labels.tolist() == whole.class_labels.tolist()
        assert counts.tolist() == whole.class_counts.tolist()


def test_classes_of_a_sample_keep_their_order(tmp_path):
    grades = pl.Series("y", ["low", "mid", "high"] * 20, dtype=pl.Enum(["low", "mid", "high"]))
    pl.DataFrame({"x": range(60), "y": grades}).write_parquet(tmp_path / "grades.parquet")
    data, _ = sample(tmp_path / "grades.parquet", "y", 9)
    assert data.classes == load(tmp_path / "grades.parquet", "y").classes == ("low", "mid", "high")
    np.testing.assert_array_equal(data.labels, data.inputs["x"].to_numpy() % 3)


def test_a_sample_has_a_number_of_rows(tmp_path):
    with pytest.raises(TailwiseError, match="rows must be a number; got 'x'"):
        sample(tmp_path / "t.parquet", "y", "x")
