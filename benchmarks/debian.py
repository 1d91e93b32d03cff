"""A real long-tailed table and text set: every Debian package, to be sorted into its archive section.

Read from a Packages index of Debian, as `apt-get update` leaves it on any Debian machine:

    python benchmarks/debian.py --output debian-data

writes packages.csv (sizes, priority, maintainer, dependencies; blanks where a field is missing) and
descriptions.csv (one line of text each). Bookworm has 63,000 packages in 58 sections, from 6,703 (libs) to 15 (zope).
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import polars as pl

LISTS = Path("/var/lib/apt/lists")


def index() -> Path | None:
    """Return the largest Packages index on this machine, or None."""
    found = sorted(LISTS.glob("*_main_binary-*_Packages*"), key=lambda file: file.stat().st_size)
    return found[-1] if found else None


def lines(file: Path) -> Iterator[str]:
    """Yield the lines of an index, compressed or not."""
    if file.suffix == ".lz4":
        if shutil.which("lz4") is None:
            raise SystemExit(f"{file} needs the lz4 command: apt-get install lz4")
        yield from subprocess.run(["lz4", "-dc", file], capture_output=True, check=True).stdout.decode().splitlines()
    elif file.suffix == ".xz":
        with lzma.open(file, "rt", encoding="utf-8") as stream:
            yield from stream
    else:
        yield from file.read_text(encoding="utf-8").splitlines()


def packages(file: Path) -> Iterator[dict[str, str]]:
    """Yield the fields of each package."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines(file):
        if not line.strip():
            yield fields
            fields = {}
        elif line.startswith(" "):  # the field goes on
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name] = value


def frame(file: Path) -> pl.DataFrame:
    """Return one row a package."""
    rows = (
        {
            "package": p["Package"],
            "section": p.get("Section", "").split("/")[-1],
            "description": p.get("Description", ""),
            "size": f"{int(p['Size']):,}",
            "installed_kb": p.get("Installed-Size"),
            "priority": p.get("Priority"),
            "architecture": p.get("Architecture"),
            "multi_arch": p.get("Multi-Arch"),
            "maintainer": p.get("Maintainer", "").split(" <")[0],
            "homepage": urlparse(p.get("Homepage", "")).hostname,
            "depends": len(p["Depends"].split(",")) if "Depends" in p else None,
            "recommends": len(p["Recommends"].split(",")) if "Recommends" in p else None,
            "first_dependency": p.get("Depends", "").split(",")[0].split(" ")[0] or None,
            "own_source": "Source" not in p,
            "version": p["Version"],
        }
        for p in packages(file)
        if p.get("Section")
    )
    return pl.DataFrame(list(rows), infer_schema_length=None)


def tags(file: Path) -> pl.DataFrame:
    """Return the packages that people have tagged (debtags), and each one's tags: a set of labels with a long tail."""
    rows = ({"package": p["Package"], "tags": p["Tag"].split(", ")} for p in packages(file) if "Tag" in p)
    return pl.DataFrame(list(rows)).unique("package", keep="first", maintain_order=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("debian-data"))
    output = parser.parse_args().output
    file = index()
    if file is None:
        raise SystemExit(f"there is no Packages index in {LISTS}; run apt-get update on a Debian machine")
    output.mkdir(parents=True, exist_ok=True)
    table = frame(file)
    table.drop("description").write_csv(output / "packages.csv")
    table.select("package", "description", "section").write_csv(output / "descriptions.csv")
    print(table["section"].value_counts(sort=True))


if __name__ == "__main__":
    main()
