"""Whether the trees in a scikit-learn object from a file may be walked.

scikit-learn follows a tree's nodes without looking where they lead: nodes that point elsewhere make it read foreign
memory, or crash, and nodes that point back keep it busy for ever. In the trees that it grows, children follow parents.
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
        _check_stages(vars(found))
        _check(vars(found), int(vars(found).get("n_features_in_", width)), seen)


def _check_stages(own: Mapping[str, Any]) -> None:
    """Raise ValueError if boosted trees do not fit together: scikit-learn looks at the first one only."""
    if "n_trees_per_iteration_" not in own or not isinstance(own.get("estimators_"), np.ndarray):
        return
    stages, width = own["estimators_"], own["n_features_in_"]
    if stages.ndim != 2 or stages.shape[1] != own["n_trees_per_iteration_"]:
        raise ValueError("the stages of boosting have another number of trees than they say")
    if any(tree.n_features_in_ != width for tree in stages.flat):
        raise ValueError("a boosted tree was grown on another number of features")


def _check_nodes(inner: NDArray[np.bool_], left: Any, right: Any, feature: Any, width: int) -> None:
    """Raise ValueError unless both children of each inner node come after it, and its feature is there."""
    place = np.flatnonzero(inner)
    for child in (left[inner].astype(np.int64), right[inner].astype(np.int64)):
        if not len(left) or ((child <= place) | (child >= len(left))).any():
            raise ValueError("a tree has nodes that point outside of it, or back")
    if len(place) and not 0 <= feature[inner].min() <= feature[inner].max() < width:
        raise ValueError("a tree asks for a feature that is not there")
