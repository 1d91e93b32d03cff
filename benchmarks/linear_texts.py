"""One logistic regression per class beside multinomial logistic regression, on one-line descriptions of packages.

    python benchmarks/linear_texts.py

Reads 8,000 of Debian's packages (see benchmarks/debian.py) and classifies their tf-idf n-grams by archive section, and
by the 211 maintainers with the most packages; seven in ten to learn from. Seconds of processor time, side by side in
one run; balanced accuracy on the rest.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

import debian
from tailwise.counts import class_weights
from tailwise.data import TextEncoder, stratified_split
from tailwise.estimators import OneVsRestLogisticRegression

ROWS, MAINTAINERS = 8000, 211


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    file = debian.index()
    if file is None:
        raise SystemExit(f"there is no Packages index in {debian.LISTS}; run apt-get update on a Debian machine")
    packages = debian.frame(file)
    largest = packages["maintainer"].value_counts(sort=True).head(MAINTAINERS)["maintainer"]
    some = packages.filter(pl.col("maintainer").is_in(largest.implode()))
    print("| classes | weights | features | one against the rest, s | L-BFGS, s | ratio | balanced accuracy, both |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for target, rows in (("section", packages), ("maintainer", some)):
        rows = rows.sample(ROWS, seed=0)
        classes, codes = np.unique(rows[target].to_numpy(), return_inverse=True)
        learn, test = stratified_split(codes, 0.3, 0)
        texts = rows["description"].to_numpy()
        encoder = TextEncoder()
        x, unseen = encoder.fit_transform(texts[learn]), encoder.transform(texts[test])
        for scheme in ("none", "inverse"):
            weights = class_weights(np.bincount(codes[learn]), scheme)[codes[learn]]
            seconds, scores = [], []
            for classifier in (
                OneVsRestLogisticRegression(C=10.0, random_state=0),
                LogisticRegression(C=10.0, max_iter=1000),
            ):
                start = time.process_time()
                classifier.fit(x, codes[learn], weights)
                seconds.append(time.process_time() - start)
                scores.append(balanced_accuracy_score(codes[test], classifier.predict(unseen)))
            print(
                f"| {len(classes)} {target}s | {scheme} | {x.shape[1]:,} | {seconds[0]:.1f} | {seconds[1]:.1f} "
                f"| {seconds[1] / seconds[0]:.1f} | {scores[0]:.3f}, {scores[1]:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
