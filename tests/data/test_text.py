import importlib.util

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from tailwise.data import SentenceEncoder, TextEncoder
from tailwise.errors import MissingExtraError, TailwiseError

TEXTS = ["Rare birds sing", "common birds sing and sing", "über 10 straße", "", "common words"]


def test_weights_are_those_of_tf_idf():
    """Hashing keeps the inner products of scikit-learn's tf-idf (without collisions)."""
    ours = TextEncoder().fit_transform(TEXTS)
    assert ours.dtype == np.float32
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", sublinear_tf=True).fit_transform(TEXTS)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit_transform(TEXTS)
    expected = words @ words.T + characters @ characters.T
    np.testing.assert_allclose((ours @ ours.T).toarray(), expected.toarray(), atol=1e-6)


def test_batches_clones_and_series_agree():
    encoder = TextEncoder()
    whole = encoder.fit_transform(TEXTS)
    one_by_one = [encoder.transform([text]).toarray()[0] for text in TEXTS]
    np.testing.assert_array_equal(np.stack(one_by_one), whole.toarray())
    again = clone(encoder).fit(pl.Series(TEXTS)).transform(np.array(TEXTS, dtype=object))
    np.testing.assert_array_equal(again.toarray(), whole.toarray())
    assert encoder.transform([None, "unseen"]).shape == (2, whole.shape[1])


def test_the_commonest_are_kept():
    assert TextEncoder(max_features=3).fit_transform(TEXTS).shape == (5, 6)
    with pytest.raises(TailwiseError, match="no text contains a word"):
        TextEncoder().fit(["", None])


def test_a_saved_encoder_is_small_and_does_the_same():
    import skops.io as sio

    encoder = TextEncoder().fit(TEXTS)
    saved = sio.dumps(encoder)
    assert sio.get_untrusted_types(data=saved) == ["tailwise.data.text.TextEncoder"]
    loaded = sio.loads(saved, trusted=["tailwise.data.text.TextEncoder"])
    assert abs(loaded.transform(TEXTS) - encoder.transform(TEXTS)).max() == 0
    assert len(saved) < 20_000


def test_a_language_model_needs_its_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tailwise\[text\]'"):
        SentenceEncoder(str(tmp_path)).fit(TEXTS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.skipif(importlib.util.find_spec("sentence_transformers") is None, reason="needs tailwise[text]")
def test_a_language_model_is_read_from_its_folder_without_running_what_is_in_it(tmp_path):
    import skops.io as sio
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "birds", "sing", "rare", "common"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    model = tmp_path / "model"
    with torch.random.fork_rng():
        BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(model)
    BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(model)

    encoder = SentenceEncoder(str(model)).fit()
    encoded = encoder.transform(["rare birds sing", "common birds", None])
    assert encoded.shape == (3, 16)
    assert encoded.dtype == np.float32
    loaded = sio.loads(sio.dumps(encoder), trusted=["tailwise.data.text.SentenceEncoder"])
    np.testing.assert_allclose(loaded.transform(["common birds"])[0], encoded[1], atol=1e-5)

    with torch.random.fork_rng():
        torch.rand(1)  # for other weights than before
        BertModel(BertConfig(vocab_size=len(words), **size)).save_pretrained(model)
    with pytest.raises(TailwiseError, match="another language model than in training"):
        sio.loads(sio.dumps(encoder), trusted=["tailwise.data.text.SentenceEncoder"]).transform(["birds"])
    with pytest.raises(TailwiseError, match=r"there is no .*mode\. Did you mean 'model'"):
        SentenceEncoder(str(tmp_path / "mode")).fit()
    with pytest.raises(TailwiseError, match="no readable language model"):
        SentenceEncoder(str(tmp_path)).fit()
    (model / "model.safetensors").unlink()
    torch.save({}, model / "pytorch_model.bin")  # a pickle
    with pytest.raises(TailwiseError, match=r"no readable language model.*safetensors"):
        SentenceEncoder(str(model)).fit()


def test_no_texts_are_no_rows():
    encoder = TextEncoder().fit(["one two", "three"])
    none = encoder.transform([])
    assert none.shape == (0, encoder.transform(["one"]).shape[1])
    assert none.dtype == np.float32
