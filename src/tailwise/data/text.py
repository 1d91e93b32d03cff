"""Turn texts into features: by tf-idf, fast and offline, or by a language model in a local folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils.validation import check_is_fitted

from tailwise._optional import require
from tailwise.data.frames import texts
from tailwise.data.paths import existing
from tailwise.errors import TailwiseError
from tailwise.wording import first_line

_BUCKETS = 2**20
_PROBE = "A short text, by which a language model is known again."
_SAME = 0.01  # relative difference of its embeddings up to which two models count as one


class TextEncoder(TransformerMixin, BaseEstimator):
    """Encode texts by the tf-idf of their words, word pairs and character 3- and 4-grams; offline, in any language.

    N-grams are hashed, so the size of a fitted encoder does not depend on the vocabulary. Only the buckets that occur
    in the most texts are kept. Weights are ``(1 + log tf) * idf`` with ``idf = 1 + log((1 + n) / (1 + df))``; the
    features of words and those of characters are each scaled to unit length. Encoding is deterministic.

    Parameters
    ----------
    max_features : maximum number of output columns for words, and for characters

    Attributes
    ----------
    buckets_, idf_ : for words and for characters, (n_kept,) hash buckets and their inverse document frequencies

    Raises
    ------
    TailwiseError
        At ``fit``, if no text contains a word.
    """

    def __init__(self, max_features: int = 50_000) -> None:
        self.max_features = max_features

    def fit(self, X: Any, y: ArrayLike | None = None) -> TextEncoder:
        """Choose the n-grams.

        Parameters
        ----------
        X : (n,) strings, as a list, array or series; None is an empty text
        y : ignored
        """
        self._fit(_count(texts(X)))
        return self

    def fit_transform(self, X: Any, y: ArrayLike | None = None, **fit_params: Any) -> sparse.csr_matrix:
        """Choose the n-grams and encode the same texts, hashing each once."""
        counts = _count(texts(X))
        self._fit(counts)
        return self._weigh(counts)

    def transform(self, X: Any) -> sparse.csr_matrix:
        """Return the (n, n_features) float32 features in CSR format."""
        check_is_fitted(self)
        documents = texts(X)
        if not len(documents):  # scikit-learn's vectoriser takes no empty input
            return sparse.csr_matrix((0, sum(map(len, self.buckets_))), dtype=np.float32)
        return self._weigh(_count(documents))

    def _fit(self, counts: list[sparse.csr_matrix]) -> None:
        self.buckets_, self.idf_ = [], []
        for matrix in counts:
            frequency = np.bincount(matrix.indices, minlength=_BUCKETS)
            kept = np.argsort(-frequency, kind="stable")[: self.max_features]
            kept = np.sort(kept[frequency[kept] > 0])
            self.buckets_.append(kept)
            self.idf_.append((1 + np.log((1 + matrix.shape[0]) / (1 + frequency[kept]))).astype(np.float32))
        if not sum(kept.size for kept in self.buckets_):
            raise TailwiseError("no text contains a word to learn from.")

    def _weigh(self, counts: list[sparse.csr_matrix]) -> sparse.csr_matrix:
        blocks = []
        for matrix, kept, idf in zip(counts, self.buckets_, self.idf_, strict=True):
            block = matrix[:, kept]
            block.data = (1 + np.log(block.data)) * idf[block.indices]
            blocks.append(normalize(block, copy=False))
        return sparse.hstack(blocks, format="csr", dtype=np.float32)


def _count(documents: NDArray[Any]) -> list[sparse.csr_matrix]:
    """Return the counts of hashed word n-grams and of hashed character n-grams in each text."""
    common = {"n_features": _BUCKETS, "alternate_sign": False, "norm": None, "dtype": np.float32}
    words = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **common)
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 4), **common)
    return [words.transform(documents), characters.transform(documents)]


class SentenceEncoder(TransformerMixin, BaseEstimator):
    """Encode texts with a sentence-transformers or Hugging Face model in a local folder; nothing is downloaded.

    Needs ``tailwise[text]``. Weights are read from safetensors only, and code in the folder is never run:
    sentence-transformers refuses to since version 6, which the extra requires. A saved encoder holds the name of the
    folder, not the model.

    Parameters
    ----------
    model_folder : folder of the model
    batch_size : number of texts to encode at a time
    unit_length : scale the embeddings to a length of 1

    Attributes
    ----------
    probe_ : (n_dimensions,) what the model makes of a short text, once it is fitted

    Raises
    ------
    MissingExtraError
        If sentence-transformers is not installed.
    TailwiseError
        If the folder does not exist, has no readable model, or another one than when the encoder was fitted.
    """

    def __init__(self, model_folder: str, batch_size: int = 64, unit_length: bool = False) -> None:
        self.model_folder = model_folder
        self.batch_size = batch_size
        self.unit_length = unit_length

    def fit(self, X: Any = None, y: ArrayLike | None = None) -> SentenceEncoder:
        """Load the model and remember what it makes of a text; nothing else is fitted."""
        for name in ("_loaded", "probe_"):  # of another folder, it may be
            self.__dict__.pop(name, None)
        self.probe_ = self._encode(self._model(), [_PROBE])[0]
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the (n, n_dimensions) float32 embeddings.

        Parameters
        ----------
        X : (n,) strings
        """
        return self._encode(self._model(), texts(X).tolist())

    def _encode(self, model: Any, documents: list[str]) -> NDArray[np.float32]:
        return model.encode(
            documents,
            batch_size=self.batch_size,
            convert_to_numpy=True,
            normalize_embeddings=self.unit_length,
            show_progress_bar=False,
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_loaded"}

    def _model(self) -> Any:
        if not hasattr(self, "_loaded"):
            library = require("sentence_transformers", "text")
            folder = existing(Path(self.model_folder))
            try:
                model = library.SentenceTransformer(
                    str(folder), local_files_only=True, model_kwargs={"use_safetensors": True}
                )
            except (OSError, ValueError) as error:
                reason = first_line(error)
                raise TailwiseError(f"{folder} has no readable language model: {reason}") from None
            if hasattr(self, "probe_") and not self._is_same(self._encode(model, [_PROBE])[0]):
                raise TailwiseError(f"{folder} holds another language model than in training: put that one back.")
            self._loaded = model
        return self._loaded

    def _is_same(self, probe: NDArray[np.float32]) -> bool:
        """Say whether a model makes of a text what that of the training made."""
        if probe.shape != self.probe_.shape:
            return False
        return bool(np.linalg.norm(probe - self.probe_) <= _SAME * np.linalg.norm(self.probe_))
