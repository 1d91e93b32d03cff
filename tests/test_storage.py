"""Folders are written whole or not at all, and read without running anything."""

import errno
import hashlib
import json
import os
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from tailwise import storage
from tailwise.errors import TailwiseError
from tailwise.storage import atomic_write, read_folder, write_folder
from tailwise.trees import check_trees


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    rng = np.random.default_rng(0)
    model = LogisticRegression().fit(rng.normal(size=(20, 3)), np.arange(20) % 2)
    write_folder(path, {"card": {"name": "x"}}, {"net": {"w": np.arange(6.0).reshape(2, 3)}}, {"clf": model})
    return path


def rewrite_manifest(path, change=None):
    """Do what an attacker would: make sizes and hashes agree again."""
    manifest = json.loads((path / "manifest.json").read_text())
    for name in manifest["files"]:
        data = (path / name).read_bytes()
        manifest["files"][name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if change:
        change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))


def refused(path, message):
    with pytest.raises(TailwiseError, match=message) as caught:
        read_folder(path)
    assert "\n" not in str(caught.value)


def test_a_folder_comes_back_as_it_was(folder):
    found = read_folder(folder)
    assert found.documents == {"card": {"name": "x"}}
    np.testing.assert_array_equal(np.asarray(found.tensors("net")["w"]), np.arange(6.0).reshape(2, 3))
    assert found.estimator("clf").predict_proba(np.zeros((1, 3))).shape == (1, 2)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["model"], "nothing temporary is left"


def test_what_a_killed_writer_left_goes_with_the_next_one(folder):
    left, foreign = folder.parent / ".model.unwritten-abc", folder.parent / ".model.backup"
    for other in (left, foreign):
        other.mkdir()
        (other / "card.json").write_text("{}")
    write_folder(folder, {"card": {}}, force=True)
    assert sorted(p.name for p in folder.parent.iterdir()) == [".model.backup", "model"]


@pytest.mark.parametrize("estimator", [HistGradientBoostingClassifier(max_iter=5), RandomForestClassifier(5)])
def test_estimators_predict_the_same_after_a_round_trip(tmp_path, estimator):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 4))
    estimator.fit(x, rng.integers(0, 3, 200))
    write_folder(tmp_path / "m", {}, estimators={"e": estimator})
    again = read_folder(tmp_path / "m").estimator("e")
    np.testing.assert_array_equal(again.predict_proba(x), estimator.predict_proba(x))


def test_torch_tensors_come_back(tmp_path):
    torch = pytest.importorskip("torch")
    weights = {"a": torch.arange(4, dtype=torch.bfloat16), "b": torch.ones(2, 3).t()}
    write_folder(tmp_path / "m", {}, {"net": weights})
    found = read_folder(tmp_path / "m").tensors("net")
    assert found["a"].dtype == torch.bfloat16
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_read_only_folder_that_is_overwritten_is_gone(folder, monkeypatch):
    def remove_if_writable(path, remove=shutil.rmtree, **_):  # root may remove anything
        if path.exists() and path.stat().st_mode & 0o200:
            remove(path)

    monkeypatch.setattr(shutil, "rmtree", remove_if_writable)
    folder.chmod(0o500)
    write_folder(folder, {"card": {}}, force=True)
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_what_stands_there_is_kept_unless_forced(folder, tmp_path):
    with pytest.raises(TailwiseError, match="not empty; choose another folder, or overwrite it with --force"):
        write_folder(folder, {"card": 2})
    assert read_folder(folder).documents == {"card": {"name": "x"}}
    write_folder(folder, {"card": 2}, force=True)
    assert read_folder(folder).documents == {"card": 2}
    foreign = tmp_path / "photos"
    foreign.mkdir()
    (foreign / "a.jpg").write_text("dear")
    for manifest in (None, '{"manifest_version": 3}', "[", "[" * 100_000, '{"files": {}, "kind": "model"}'):
        if manifest is not None:  # many programs have a file of this name
            (foreign / "manifest.json").write_text(manifest)
        with pytest.raises(TailwiseError, match="was not written by Tailwise"):
            write_folder(foreign, {}, force=True)
        assert (foreign / "a.jpg").read_text() == "dear"
    (folder / ".DS_Store").write_text("a file manager's")
    write_folder(folder, {"card": 2}, force=True)
    (folder / "thesis.txt").write_text("dear")
    with pytest.raises(TailwiseError, match=r"holds thesis\.txt, which Tailwise did not write: move it away first"):
        write_folder(folder, {"card": 3}, force=True)
    assert (folder / "thesis.txt").read_text() == "dear"
    (tmp_path / "file").write_text("x")
    with pytest.raises(TailwiseError, match="is a file"):
        write_folder(tmp_path / "file", {}, force=True)


@pytest.mark.parametrize("where", ["fsync", "replace", "the last replace"])
def test_a_full_disk_loses_nothing(folder, monkeypatch, where):
    replace = storage.Path.replace

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def full_at_last(self, target):
        return full() if target == folder and not self.name.endswith(".old") else replace(self, target)

    if where == "fsync":
        monkeypatch.setattr(storage.os, "fsync", full)
    else:
        monkeypatch.setattr(storage.Path, "replace", full if where == "replace" else full_at_last)
    with pytest.raises(TailwiseError, match="the disk is full") as caught:
        write_folder(folder, {"card": 2}, force=True)
    assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert read_folder(folder).documents == {"card": {"name": "x"}}
    assert [p.name for p in folder.parent.iterdir()] == ["model"]


def test_a_single_file_appears_when_it_is_complete(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(file) as out:  # noqa: PT012
        out.write("half")
        raise RuntimeError
    assert file.read_text() == "old"
    with atomic_write(file) as out:
        out.write("n\u00ebw\n")
    assert file.read_bytes() == "n\u00ebw\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
    with pytest.raises(TailwiseError, match="cannot be written"), atomic_write(tmp_path / "none" / "b") as out:
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize("umask", [0o077, 0o022])
def test_what_is_written_is_as_private_as_the_umask_says(tmp_path, umask):
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "a.csv") as out:
            out.write("x")
        write_folder(tmp_path / "m", {"card": {}}, {"net": {"w": np.ones(2)}}, {"clf": LogisticRegression()})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "m").iterdir()} == {0o666 & ~umask}
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o666 & ~umask
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o777 & ~umask


def test_the_output_is_not_blamed_for_what_was_read_meanwhile(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"input\.csv"), atomic_write(tmp_path / "out.csv") as out:
        out.write((tmp_path / "input.csv").read_text())

    def full():
        with atomic_write(tmp_path / "out.csv"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(TailwiseError, match=r"the disk is full: .*out\.csv"):
        full()
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(folder, tmp_path):
    refused(tmp_path / "absent", "there is no folder")
    (tmp_path / "other").mkdir()
    refused(tmp_path / "other", "not a Tailwise model: it has no manifest.json")
    net = folder / "net.safetensors"
    whole = net.read_bytes()
    net.write_bytes(whole[:-5])
    refused(folder, "cut short or changed")
    net.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(folder, "SHA-256 differs")
    net.unlink()
    refused(folder, r"net\.safetensors is missing")
    net.symlink_to("/etc/passwd")
    refused(folder, "is missing")
    for damaged in ("{", "[]", '{"kind": "model", "format": 1, "files": {"card.json": {"size": 3}}}'):
        (folder / "manifest.json").write_text(damaged)
        refused(folder, "manifest.json is damaged")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=99, tailwise="9.0"), "written by Tailwise 9.0, which is newer"),
        (lambda m: m.update(kind="checkpoint"), "is a Tailwise checkpoint, not a model"),
        (lambda m: m["files"].update({"../secret.json": m["files"]["card.json"]}), "names a file '../secret.json'"),
        (lambda m: m["files"].update({"run.py": m["files"]["card.json"]}), "names a file 'run.py'"),
    ],
)
def test_strange_manifests_are_refused(folder, change, message):
    rewrite_manifest(folder, change)
    refused(folder, message)


def test_what_the_manifest_does_not_name_is_not_read(folder):
    """It may have been put there since."""
    for name in ("net.safetensors", "clf.skops"):
        rewrite_manifest(folder, lambda manifest, name=name: manifest["files"].pop(name))
    found = read_folder(folder)
    for read, name in ((found.tensors, "net"), (found.estimator, "clf")):
        with pytest.raises(TailwiseError, match=f"has no {name}"):
            read(name)


def test_the_folder_one_is_in_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".", tmp_path):
        with pytest.raises(TailwiseError, match="is the folder you are in, which cannot be replaced: choose one in it"):
            write_folder(name, {"a": 1})


def test_a_safetensors_header_that_lies_is_refused(folder):
    header = json.dumps({"w": {"dtype": "F64", "shape": [10**9, 10**9], "data_offsets": [0, 8]}}).encode()
    (folder / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    rewrite_manifest(folder)
    with pytest.raises(TailwiseError, match="not a valid safetensors file") as caught:
        read_folder(folder).tensors("net")
    assert "\n" not in str(caught.value)


def test_a_skops_file_cannot_run_code(folder, tmp_path):
    import skops.io

    from tailwise.recipes import load_recipes_from

    marker, script = tmp_path / "ran", tmp_path / "evil.py"
    script.write_text(f"open({str(marker)!r}, 'w')")

    evils = [
        FunctionTransformer(func=os.system),
        FunctionTransformer(func=load_recipes_from, kw_args={"path": str(script)}),
        FunctionTransformer(func=eval),
    ]
    for evil in evils:
        skops.io.dump(evil, folder / "clf.skops")
        rewrite_manifest(folder)
        with pytest.raises(TailwiseError, match="which no Tailwise model does: it was not loaded"):
            read_folder(folder).estimator("clf")
    # and by hand: a file whose schema names a forbidden function
    skops.io.dump(FunctionTransformer(), folder / "clf.skops")
    with zipfile.ZipFile(folder / "clf.skops") as archive:
        schema = archive.read("schema.json").decode()
    forged = schema.replace("FunctionTransformer", "system").replace(
        "sklearn.preprocessing._function_transformer", "os"
    )
    with zipfile.ZipFile(folder / "clf.skops", "w") as archive:
        archive.writestr("schema.json", forged)
    rewrite_manifest(folder)
    with pytest.raises(TailwiseError, match=r"holds os\.system|not a valid skops file"):
        read_folder(folder).estimator("clf")
    assert not marker.exists()


def forest(x, y):
    return RandomForestClassifier(3, random_state=0).fit(x, y)


def boosting(x, y):
    return HistGradientBoostingClassifier(max_iter=3).fit(x, y)


def first_tree(model):
    """Return the first tree's nodes, and a function that puts changed ones in their place."""
    if isinstance(model, HistGradientBoostingClassifier):
        predictor = model._predictors[0][0]
        return predictor.nodes, lambda nodes: setattr(predictor, "nodes", nodes)
    tree = model.estimators_[0].tree_
    state = tree.__getstate__()
    return state["nodes"], lambda nodes: tree.__setstate__({**state, "nodes": nodes})


@pytest.mark.parametrize(
    ("fit", "field", "value", "message"),
    [
        (forest, "left_child", 10**6, "point outside of it, or back"),
        (forest, "right_child", 0, "point outside of it, or back"),
        (forest, "left_child", -7, "point outside of it, or back"),
        (forest, "feature", 3, "a feature that is not there"),
        (forest, "feature", -1, "a feature that is not there"),
        (boosting, "left", 10**6, "point outside of it, or back"),
        (boosting, "right", 0, "point outside of it, or back"),
        (boosting, "feature_idx", 3, "a feature that is not there"),
        (boosting, "feature_idx", -1, "a feature that is not there"),
        (boosting, "is_categorical", 1, "splits by categories"),
    ],
)
def test_trees_that_cannot_be_walked_are_refused(tmp_path, fit, field, value, message):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = (x[:, 0] > 0) + (x[:, 2] > 0)
    model = fit(x, y)
    write_folder(tmp_path / "good", {}, estimators={"clf": model})
    read_folder(tmp_path / "good").estimator("clf").predict(x)
    nodes, put = first_tree(model)
    nodes = nodes.copy()
    nodes[field][0] = value
    put(nodes)
    write_folder(tmp_path / "bad", {}, estimators={"clf": model})
    with pytest.raises(TailwiseError, match=message) as caught:
        read_folder(tmp_path / "bad").estimator("clf")
    assert "\n" not in str(caught.value)


def test_a_width_is_not_inherited_from_what_is_around(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    around = SimpleNamespace(estimator_=boosting(x, y), n_features_in_=2**30)
    check_trees(around)
    del around.estimator_.n_features_in_
    with pytest.raises(ValueError, match="a feature that is not there"):
        check_trees(around)


@pytest.mark.parametrize("algorithm", [KNeighborsClassifier, RadiusNeighborsClassifier])
def test_neighbours_of_no_class_are_refused(algorithm):
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    for labels in (y, np.column_stack([y, 1 - y])):
        model = algorithm(algorithm="brute").fit(x, labels)
        check_trees(model)
        model._y = model._y + 2**40
        with pytest.raises(ValueError, match="labels of no class"):
            check_trees(model)
        model._y = model._y[:5]
        with pytest.raises(ValueError, match="another number of labels than of points"):
            check_trees(model)


@pytest.mark.parametrize("kernel", ["rbf", "precomputed", "sparse"])
def test_support_vectors_that_do_not_fit_are_refused(kernel):
    x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 3
    x = {"rbf": x, "precomputed": x @ x.T, "sparse": sparse.csr_matrix(x)}[kernel]
    for name in ("_n_support", "_dual_coef_", "_intercept_", "support_"):
        model = SVC(kernel="precomputed" if kernel == "precomputed" else "rbf").fit(x, y)
        check_trees(model)
        setattr(model, name, getattr(model, name)[:1])
        with pytest.raises(ValueError, match="do not fit to their numbers"):
            check_trees(model)


def test_saving_many_arrays_never_lists_the_archive(tmp_path, monkeypatch):
    def listed(archive):
        raise AssertionError("each array would cost as much time as there are arrays")

    monkeypatch.setattr(zipfile.ZipFile, "namelist", listed)
    x, y = np.random.default_rng(0).random((60, 3)), np.arange(60) % 3
    forest = HistGradientBoostingClassifier(max_iter=5).fit(x, y)
    write_folder(tmp_path / "m", {}, estimators={"clf": forest})
    monkeypatch.undo()
    again = read_folder(tmp_path / "m").estimator("clf")
    np.testing.assert_array_equal(again.predict_proba(x), forest.predict_proba(x))


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    with pytest.raises(TailwiseError, match="cannot be saved"):
        write_folder(tmp_path / "m", {}, estimators={"e": FunctionTransformer(func=os.getcwd)})
    assert not (tmp_path / "m").exists()


def test_boosted_trees_that_do_not_fit_together_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 3))
    for number, message in enumerate(("grown on another number of features", "another number of trees than they say")):
        model = GradientBoostingClassifier(n_estimators=3).fit(x, x[:, 0] > 0)
        if number:
            model.estimators_ = model.estimators_.reshape(1, 3)
        else:
            model.estimators_[1, 0].n_features_in_ = 10**9
        with pytest.raises(ValueError, match=message):
            check_trees(model)


def test_what_a_folder_holds_besides_is_never_lost(tmp_path):
    folder = tmp_path / "m"
    write_folder(folder, {"a": 1})
    (folder / ".DS_Store").write_text("clutter")
    write_folder(folder, {"a": 2}, force=True)
    (folder / ".env").write_text("a key")
    with pytest.raises(TailwiseError, match=r"holds \.env, which Tailwise did not write"):
        write_folder(folder, {"a": 3}, force=True)
    assert (folder / ".env").read_text() == "a key"


def test_a_link_to_a_folder_stays_one(tmp_path):
    (tmp_path / "big").mkdir()
    link = tmp_path / "m"
    link.symlink_to("big")
    for number in range(2):
        write_folder(link, {"a": number}, force=True)
        assert link.is_symlink()
        assert read_folder(tmp_path / "big").documents == {"a": number}
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")) == ["big", "m"]


def test_documents_may_hold_numbers_of_numpy_and_are_refused_in_one_line_otherwise(tmp_path):
    write_folder(tmp_path / "m", {"a": {"n": np.int64(3), "x": np.float32(0.5), "l": np.arange(2)}})
    assert read_folder(tmp_path / "m").documents["a"] == {"n": 3, "x": 0.5, "l": [0, 1]}
    for document, message in (({1, 2}, "the document 'a' cannot be written as JSON: it holds a set"), (np.inf, "JSON")):
        with pytest.raises(TailwiseError, match=message):
            write_folder(tmp_path / "n", {"a": document})
    with pytest.raises(TailwiseError, match="a document cannot be called 'é': use letters"):
        write_folder(tmp_path / "n", {"é": 1})
