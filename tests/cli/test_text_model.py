"""Texts that a language model encodes, from the command, with a stand-in for sentence-transformers."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from cli.test_commands import refused, run
from tailwise.data import SentenceEncoder, text

WORDS = ["ale", "bread", "cheese", "date"]


class StandIn:
    """A model of six numbers, one per word, times what the folder's file holds."""

    def __init__(self, folder: str, **settings: object) -> None:
        assert settings == {"local_files_only": True, "model_kwargs": {"use_safetensors": True}}
        file = Path(folder, "weights.txt")
        if not file.exists():
            raise OSError("no file named weights.txt")
        self.weight = np.array(file.read_text().split(), dtype=np.float32)

    def encode(self, documents: list[str], *, normalize_embeddings: bool, **settings: object) -> np.ndarray:
        assert normalize_embeddings
        counts = [[each.count(word) for word in [*WORDS, "text", "model"]] for each in documents]
        weighed = np.array(counts, dtype=np.float32) * self.weight
        return weighed / np.linalg.norm(weighed, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(SentenceTransformer=StandIn)
    monkeypatch.setattr(text, "require", lambda package, extra: stand_in)
    monkeypatch.setitem(sys.modules, "sentence_transformers", stand_in)
    monkeypatch.setattr("tailwise.estimators._defaults.require", lambda package, extra: stand_in)


@pytest.fixture
def menu(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    kinds = np.repeat(["bar", "shop", "farm"], [40, 15, 8])
    liked = {"bar": [8, 1, 2, 0], "shop": [1, 8, 2, 1], "farm": [0, 1, 4, 6]}
    texts = [" ".join(rng.choice(WORDS, 6, p=np.array(liked[kind]) / sum(liked[kind]))) for kind in kinds]
    pl.DataFrame({"said": texts, "kind": kinds}).write_csv(tmp_path / "menu.csv")
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "weights.txt").write_text("1 1 1 1 1 1")
    return tmp_path


def test_texts_may_be_encoded_by_a_language_model_in_a_folder(menu, capsys, monkeypatch):
    monkeypatch.chdir(menu)
    fit = ["fit", "menu.csv", "-t", "kind", "--text", "said", "--text-model", "llm", "-r", "logit-adjustment"]
    assert run(*fit, "-o", menu / "m") == 0
    (menu / "elsewhere").mkdir()
    monkeypatch.chdir(menu / "elsewhere")
    assert run("predict", menu / "m", menu / "menu.csv", "-o", "p.csv") == 0
    predicted = pl.read_csv("p.csv")["label"]
    assert (predicted == pl.read_csv(menu / "menu.csv")["kind"]).mean() > 0.8

    (menu / "llm" / "weights.txt").write_text("1 1 1 1 2 1")
    again = ["predict", menu / "m", menu / "menu.csv", "-o", "q.csv"]
    refused(capsys, "holds another language model than in training", *again)
    (menu / "llm").rename(menu / "moved")
    refused(capsys, f"there is no {menu / 'llm'}", *again)
    assert not Path("q.csv").exists()


def test_an_encoder_that_is_fitted_again_reads_its_new_folder(menu):
    encoder = SentenceEncoder(str(menu / "llm"), unit_length=True).fit()
    (menu / "other").mkdir()
    (menu / "other" / "weights.txt").write_text("1 9 1 1 1 1")
    before = encoder.transform(["ale and bread"])
    after = encoder.set_params(model_folder=str(menu / "other")).fit().transform(["ale and bread"])
    assert after[0, 1] > before[0, 1]


def test_a_language_model_that_cannot_be_used_is_refused_before_anything_else(menu, capsys):
    out = ["-t", "kind", "-o", menu / "m"]
    fit = ["fit", menu / "menu.csv", *out, "--text", "said", "--text-model"]
    refused(capsys, "Did you mean 'llm'", *fit, menu / "lm")
    (menu / "llm" / "weights.txt").unlink()
    refused(capsys, "llm has no readable language model: no file named weights.txt", *fit, menu / "llm")
    pl.DataFrame({"x": [1, 2, 3, 4], "kind": ["a", "b"] * 2}).write_csv(menu / "menu.csv")
    table = ["fit", menu / "menu.csv", *out, "--text-model", menu / "llm"]
    refused(capsys, "text_model encodes texts, and this data has none", *table)
    assert not (menu / "m").exists()
