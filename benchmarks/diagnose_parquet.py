"""Time and memory of `diagnose` on a Parquet table of ten million rows, beside two pandas calls on the same file.

    python benchmarks/diagnose_parquet.py [--rows 10000000] [--repeats 3]

Each run is a process of its own, after the libraries are imported; memory is the peak of its resident set over what it
had before the file was opened. pandas does far less here: it counts the classes and the rows that repeat, nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 1_000_000


def write(path: Path, rows: int) -> None:
    """Write 100 long-tailed classes, ten feature columns, 1 % repeated rows, and a column that leaks the label."""
    rng = np.random.default_rng(0)
    prior = np.arange(1, 101) ** -1.5
    names = pa.array([f"class {c}" for c in range(100)])
    cities = pa.array([f"city {c}" for c in range(1000)])
    writer = None
    for start in range(0, rows, ROW_GROUP):
        n = min(ROW_GROUP, rows - start)
        label = rng.choice(100, n, p=prior / prior.sum())
        source = np.where(rng.random(n) < 0.01, rng.integers(0, n, n), np.arange(n))
        columns = {
            "id": pa.array(np.arange(start, start + n)),
            "label": names.take(pa.array(label[source])),
            **{f"x{j}": pa.array(rng.normal(size=n)[source]) for j in range(5)},
            "count": pa.array(rng.poisson(3, n)[source]),
            "city": cities.take(pa.array(rng.integers(0, 1000, n)[source])),
            "flag": pa.array(rng.random(n)[source] < 0.5),
            "leak": pa.array(label[source] * 0.5),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def with_tailwise(path: Path) -> object:
    from tailwise.diagnose import diagnose

    found = diagnose(path, "label")
    return {"findings": len(found.findings), "duplicates": found.duplicates.rows if found.duplicates else None}


def with_pandas(path: Path) -> object:
    import pandas as pd

    frame = pd.read_parquet(path)
    frame["label"].value_counts()
    return {"duplicates": int(frame.drop(columns=["id", "label"]).duplicated().sum())}


RUNS = {"tailwise": with_tailwise, "pandas": with_pandas}


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(name: str, path: Path) -> None:
    """Do one run and print it as JSON; called in a process of its own."""
    import pandas  # noqa: F401
    import polars  # noqa: F401
    import pyarrow.dataset  # noqa: F401

    import tailwise.diagnose

    tailwise.diagnose.diagnose  # noqa: B018  loads the room
    base, start = peak_mib(), time.perf_counter()
    result = RUNS[name](path)
    print(json.dumps({"seconds": time.perf_counter() - start, "mib": peak_mib() - base, "result": result}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run(args.run[0], Path(args.run[1]))
        return

    libraries = ", ".join(f"{name} {version(name)}" for name in ("polars", "pandas", "numpy"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {libraries}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.parquet")
        write(path, args.rows)
        print(f"{args.rows:,} rows × 11 columns, {path.stat().st_size / 2**20:.0f} MiB, {args.repeats} runs each")
        measured: dict[str, list[dict]] = {name: [] for name in RUNS}
        command = [sys.executable, __file__, "--run"]
        for _ in range(args.repeats):  # in turns, so that a busy machine is busy for both
            for name in RUNS:
                out = subprocess.run([*command, name, str(path)], check=True, capture_output=True, text=True).stdout
                measured[name].append(json.loads(out))
    print("\n| | seconds (median) | slowest | peak memory over base, MiB | result |\n|---|---|---|---|---|")
    for name, runs in measured.items():
        seconds = [r["seconds"] for r in runs]
        memory = statistics.median(r["mib"] for r in runs)
        print(
            f"| {name} | {statistics.median(seconds):.1f} | {max(seconds):.1f} | {memory:,.0f} | {runs[0]['result']} |"
        )


if __name__ == "__main__":
    main()
