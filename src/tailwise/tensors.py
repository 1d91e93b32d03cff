"""What is given as a tensor or the like, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tailwise.errors import TailwiseError


def to_array(values: Any) -> Any:
    """Return a torch tensor, of any type and on any device, as an array, bfloat16 as float32; all else unchanged."""
    if not hasattr(values, "detach"):
        return values
    if str(values.layout) != "torch.strided":
        raise TailwiseError("a sparse tensor is neither a table nor an array here: give it as a SciPy matrix.")
    tensor = values.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def unmasked(values: Any) -> NDArray[Any]:
    """Return values as an array; raise TailwiseError if some are masked, as they would come back."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise TailwiseError("some of the numbers are masked: leave them out first, by compressed() or filled().")
    return np.asarray(to_array(values))


def to_dense(values: Any) -> NDArray[Any]:
    """Return a tensor, a SciPy matrix or the like as an array."""
    return values.toarray() if hasattr(values, "toarray") else unmasked(values)


def to_indicator(labels: Any, where: str = "the labels") -> Any:
    """Return an (n, n_labels) indicator in CSR format, in its own type, without zeros.

    Raises
    ------
    TailwiseError
        If an entry is neither 0 nor 1.
    """
    from scipy import sparse

    table = labels if sparse.issparse(labels) else np.asarray(to_array(labels))
    try:
        has = sparse.csr_array(table if table.dtype.kind in "biuf" else table.astype(np.float64), copy=True)
    except (TypeError, ValueError):
        raise TailwiseError(
            f"{where} must be an indicator of 0 and 1, but it has values that are not numbers."
        ) from None
    has.sum_duplicates()
    has.eliminate_zeros()
    wrong = np.flatnonzero(has.data != 1)
    if wrong.size:
        row, column = np.searchsorted(has.indptr, wrong[0], side="right") - 1, has.indices[wrong[0]]
        value = has.data[wrong[0]]
        raise TailwiseError(f"{where} must be an indicator of 0 and 1, but row {row}, column {column} is {value}.")
    return has


def to_codes(labels: Any) -> NDArray[Any]:
    """Return class codes or counts as an array, false and true as 0 and 1.

    Raises
    ------
    TailwiseError
        If some are masked, as they would come back.
    """
    codes = unmasked(labels)
    return codes.view(np.uint8) if codes.dtype == bool else codes


def weights_of_rows(sample_weight: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """Return (n,) sample weights, or None; raise TailwiseError unless they are one finite number of 0 or more a row."""
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(to_array(sample_weight)).astype(np.float64, copy=False)
    except (TypeError, ValueError):
        raise TailwiseError("sample_weight must be numbers, one per row.") from None
    if weights.shape != (n,):
        raise TailwiseError(f"sample_weight must be one number for each of {n:,} rows; got shape {weights.shape}.")
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise TailwiseError("sample_weight must be finite and not negative.")
    return weights
