"""Whether what scikit-learn follows without looking, in an object from a file, leads anywhere.

It follows a tree's nodes wherever they lead: nodes that point elsewhere make it read foreign memory, or crash, and
nodes that point back keep it busy for ever. In the trees that it grows, children follow parents. Likewise it takes the
codes of neighbours, and the numbers of support vectors, for what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TREE = "sklearn.tree._tree.Tree"
PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


def check_trees(found: Any) -> None:
    """Raise ValueError if a tree, however deep inside the object, cannot be walked to a leaf.

    Or if neighbours have codes of no class, or support vectors do not fit to their numbers.

    Parameters
    ----------
    found : a scikit-learn object, or lists, dicts and object arrays of such
    """
    _check(found, 0, set())


def _check(found: Any, width: int, seen: set[tuple[int, int]]) -> None:
    """Check the trees inside an object, which are given ``width`` features; what was seen is not looked at again."""
    if (id(found), width) in seen or isinstance(found, str | int | float):
        return
    seen.add((id(found), width))
    name = f"{type(found).__module__}.{type(found).__qualname__}"
    if name == TREE:
        inner = found.children_left != -1
        _check_nodes(inner, found.children_left, found.children_right, found.feature, width)
    elif name == PREDICTOR:
        nodes = found.nodes
        inner = nodes["is_leaf"] == 0
        _check_nodes(inner, nodes["left"], nodes["right"], nodes["feature_idx"], width)
        if nodes["is_categorical"][inner].any():  # boosting that splits by categories cannot be saved here
            raise ValueError("a tree splits by categories, which no tree written here does")
    elif isinstance(found, Mapping):
        for value in found.values():
            _check(value, width, seen)
    elif isinstance(found, list | tuple | set):
        for value in found:
            _check(value, width, seen)
    elif isinstance(found, np.ndarray):
        if found.dtype == object:
            for value in found.flat:
                _check(value, width, seen)
    elif hasattr(found, "__dict__"):
        own = vars(found)
        _check_stages(own)
        _check_neighbours(own)
        _check_support(own)
        _check(own, int(own.get("n_features_in_", 0)), seen)  # what has trees has a width of its own


def _check_stages(own: Mapping[str, Any]) -> None:
    """Raise ValueError if boosted trees do not fit together: scikit-learn looks at the first one only."""
    if "n_trees_per_iteration_" not in own or not isinstance(own.get("estimators_"), np.ndarray):
        return
    stages, width = own["estimators_"], own["n_features_in_"]
    if stages.ndim != 2 or stages.shape[1] != own["n_trees_per_iteration_"]:
        raise ValueError("the stages of boosting have another number of trees than they say")
    if any(tree.n_features_in_ != width for tree in stages.flat):
        raise ValueError("a boosted tree was grown on another number of features")


def _check_neighbours(own: Mapping[str, Any]) -> None:
    """Raise ValueError if nearest neighbours have codes of classes that are not there."""
    if not isinstance(own.get("_y"), np.ndarray) or "classes_" not in own:
        return
    columns = own["_y"].reshape(len(own["_y"]), -1).T
    classes = own["classes_"] if isinstance(own["classes_"], list) else [own["classes_"]]
    if len(classes) != len(columns) or not len(own["_y"]) == own["n_samples_fit_"] == own["_fit_X"].shape[0]:
        raise ValueError("nearest neighbours have another number of labels than of points")
    for codes, names in zip(columns, classes, strict=True):
        if codes.dtype.kind not in "iu" or ((codes < 0) | (codes >= len(names))).any():
            raise ValueError("nearest neighbours have labels of no class")


def _check_support(own: Mapping[str, Any]) -> None:
    """Raise ValueError if the arrays of a support vector machine do not fit to each other."""
    if "_n_support" not in own:
        return
    numbers, rows, k = own["_n_support"], own["support_"], len(own["classes_"])
    width, pairs = own["n_features_in_"], k * (k - 1) // 2
    fits = (
        numbers.shape == (k,)
        and (numbers >= 0).all()
        and numbers.sum() == len(rows)
        and (own["kernel"] != "precomputed" or ((rows >= 0) & (rows < width)).all())
        and own["support_vectors_"].shape == ((0, 0) if own["kernel"] == "precomputed" else (len(rows), width))
        and own["_dual_coef_"].shape == (k - 1, len(rows))
        and own["_intercept_"].shape == (pairs,)
        and all(len(own[name]) in (0, pairs) for name in ("_probA", "_probB"))
    )
    if not fits:
        raise ValueError("support vectors do not fit to their numbers")


def _check_nodes(inner: NDArray[np.bool_], left: Any, right: Any, feature: Any, width: int) -> None:
    """Raise ValueError unless both children of each inner node come after it, and its feature is there."""
    place = np.flatnonzero(inner)
    for child in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        if not len(left) or ((child <= place) | (child >= len(left))).any():
            raise ValueError("a tree has nodes that point outside of it, or back")
    if len(place) and not 0 <= feature[inner].min() <= feature[inner].max() < width:
        raise ValueError("a tree asks for a feature that is not there")
