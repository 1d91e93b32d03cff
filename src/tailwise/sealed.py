"""scikit-learn objects in skops files, read only if every type in them is one that Tailwise itself writes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from tailwise import trees
from tailwise.errors import TailwiseError
from tailwise.wording import first_line

#: Types that scikit-learn models written here may hold, besides those that skops itself trusts. Names are exact: a
#: prefix would also trust functions.
TRUSTED = frozenset(
    {
        trees.PREDICTOR,
        trees.TREE,
        "numpy.dtype",
        "scipy.sparse._csr.csr_array",
        "scipy.sparse._csr.csr_matrix",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.metrics._classification.balanced_accuracy_score",
        "sklearn.metrics._classification.f1_score",
        "sklearn.metrics._classification.log_loss",
        "sklearn.metrics._ranking.average_precision_score",
        "sklearn.metrics._ranking.roc_auc_score",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.multiclass._ConstantPredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "skrub._datetime_encoder.DatetimeEncoder",
        "skrub._string_encoder.StringEncoder",
        "skrub._to_str.ToStr",
        "tailwise.data.coders.Number",
        "tailwise.data.coders.OneHot",
        "tailwise.data.coders.Ordinal",
        "tailwise.data.coders.Parts",
        "tailwise.data.coders.Scaled",
        "tailwise.data.columns.Reading",
        "tailwise.data.encode.PixelEncoder",
        "tailwise.data.encode.TableEncoder",
        "tailwise.data.encode.dense",
        "tailwise.data.text.SentenceEncoder",
        "tailwise.data.text.TextEncoder",
        "tailwise.estimators._linear.OneVsRestLogisticRegression",
        "tailwise.resample._boosting.RUSBoostClassifier",
        "tailwise.resample._case_control.CaseControlClassifier",
        "tailwise.resample._clean.EditedNearestNeighbours",
        "tailwise.resample._clean.InstanceHardnessThreshold",
        "tailwise.resample._clean.NearMiss",
        "tailwise.resample._clean.TomekLinks",
        "tailwise.resample._clusters.ClusterCentroids",
        "tailwise.resample._clusters.KMeansSMOTE",
        "tailwise.resample._combined.SMOTEENN",
        "tailwise.resample._combined.SMOTETomek",
        "tailwise.resample._ensembles.BalancedBaggingClassifier",
        "tailwise.resample._ensembles.EasyEnsembleClassifier",
        "tailwise.resample._ensembles.SelfPacedEnsembleClassifier",
        "tailwise.resample._multilabel.MLRandomOverSampler",
        "tailwise.resample._multilabel.MLRandomUnderSampler",
        "tailwise.resample._multilabel.MLSMOTE",
        "tailwise.resample._nominal.SMOTEN",
        "tailwise.resample._nominal.SMOTENC",
        "tailwise.resample._random.GaussianOverSampler",
        "tailwise.resample._random.RandomOverSampler",
        "tailwise.resample._random.RandomUnderSampler",
        "tailwise.resample._resampled.ResampledClassifier",
        "tailwise.resample._smote.ADASYN",
        "tailwise.resample._smote.BorderlineSMOTE",
        "tailwise.resample._smote.MixupOverSampler",
        "tailwise.resample._smote.SMOTE",
        "tailwise.resample._support.SVMSMOTE",
        "tailwise.resample._weighted.WeightedClassifier",
    }
)


_WRITING = threading.Lock()


class _Archive(ZipFile):
    """A zip archive with a fast ``namelist``: skops looks up each array's name among those already there."""

    def namelist(self) -> Any:
        """Return the names as a mapping, which is searched in constant time."""
        return self.NameToInfo


def dump(estimator: Any, file: Path) -> None:
    """Write a scikit-learn object.

    Raises
    ------
    TailwiseError
        If it holds a type that could not be read again.
    """
    import skops.io

    inside: Any = sys.modules.get("skops.io._persist")
    with _WRITING:
        theirs = getattr(inside, "ZipFile", None)  # None in a later version, which may not need this
        try:
            if theirs is not None:
                inside.ZipFile = _Archive
            # as quick as without compression, a fraction of the size
            skops.io.dump(estimator, file, compression=ZIP_DEFLATED, compresslevel=1)
        finally:
            if theirs is not None:
                inside.ZipFile = theirs
    if foreign := _foreign_types(file):
        raise TailwiseError(
            f"a model that holds {foreign[0]} cannot be saved: it is not among the types that are safe to load. Choose "
            "another estimator (of nearest neighbours, algorithm='brute'), or pickle the classifier where only you load"
            " it."
        )


def load(file: Path) -> Any:
    """Read a scikit-learn object.

    Raises
    ------
    TailwiseError
        If the file is damaged, holds a type that Tailwise does not write or a tree that cannot be walked, or was never
        fitted.
    """
    import skops.io
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted
    from skops.io.exceptions import UntrustedTypesFoundException

    try:
        found = skops.io.load(file, trusted=sorted(TRUSTED))
        check_is_fitted(found)
        trees.check_trees(found)
    except UntrustedTypesFoundException:
        foreign = _foreign_types(file)[0]
        raise TailwiseError(f"{file} holds {foreign}, which no Tailwise model does: it was not loaded.") from None
    except NotFittedError:
        raise TailwiseError(f"{file} holds a {type(found).__name__} that was never fitted.") from None
    except BadZipFile as error:
        raise TailwiseError(f"{file} is not a valid skops file: {first_line(error)}") from None
    except Exception as error:
        raise TailwiseError(f"{file} could not be read with the versions installed here: {first_line(error)}") from None
    return found


def _foreign_types(file: Path) -> list[str]:
    import skops.io

    return sorted(set(skops.io.get_untrusted_types(file=file)) - TRUSTED)
