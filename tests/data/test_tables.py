import gzip
import io
import os
import subprocess
import threading
import time

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tailwise.data import batches, load, reading, scan
from tailwise.data.paths import table_format
from tailwise.errors import TailwiseError

FRAME = pl.DataFrame({"a": [1, 2, None], "b": [0.5, None, -1.0], "c": ["x", "ÿ, z", None], "d": [True, False, None]})
WRITE = {
    "t.csv": lambda path: FRAME.write_csv(path),
    "t.tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    "semicolons.csv": lambda path: FRAME.write_csv(path, separator=";"),
    "t.csv.gz": lambda path: path.write_bytes(gzip.compress(FRAME.write_csv().encode())),
    "bom.csv": lambda path: path.write_bytes(FRAME.write_csv(include_bom=True).encode()),
    "crlf.csv": lambda path: FRAME.write_csv(path, line_terminator="\r\n"),
    "t.jsonl": lambda path: FRAME.write_ndjson(path),
    "bom.jsonl": lambda path: path.write_bytes(b"\xef\xbb\xbf" + FRAME.write_ndjson().encode()),
    "bom.jsonl.gz": lambda path: path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + FRAME.write_ndjson().encode())),
    "t.parquet": lambda path: FRAME.write_parquet(path),
    "t.feather": lambda path: FRAME.write_ipc(path),
}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("name", WRITE)
def test_every_format_gives_the_same_table(tmp_path, name):
    WRITE[name](tmp_path / name)
    assert scan(tmp_path / name).collect().equals(FRAME)
    parts = list(batches(tmp_path / name, rows=2))
    assert all(part.height == 2 for part in parts[:-1])
    assert parts[-1].height <= 3
    assert pl.concat(parts).equals(FRAME)


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_a_pandas_index_without_a_name_is_no_column(tmp_path, suffix):
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]}, index=[5, 1, 9])
    table = pa.Table.from_pandas(frame)
    assert table.column_names == ["a", "b", "__index_level_0__"]
    (pq.write_table if suffix == "parquet" else feather.write_feather)(table, tmp_path / f"t.{suffix}")
    assert scan(tmp_path / f"t.{suffix}").collect().to_dict(as_series=False) == frame.to_dict("list")
    (part,) = batches(tmp_path / f"t.{suffix}")
    assert part.columns == ["a", "b"]


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    FRAME.write_parquet(tmp_path / "0.parquet")
    FRAME.write_parquet(tmp_path / "1.parquet")
    assert scan(tmp_path).collect().height == 6


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pl.DataFrame({"x": [1.5]}), "column 'x' is Int64 in 0.parquet and Float64 in 1.parquet"),
        (pl.DataFrame({"x": [1], "z": [1]}), "column 'z' is absent in 0.parquet and Int64 in 1.parquet"),
        (None, "1.parquet is cut short"),
    ],
)
def test_files_of_a_folder_that_are_not_one_table_are_named(tmp_path, other, message):
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "0.parquet")
    if other is None:
        (tmp_path / "1.parquet").write_bytes((tmp_path / "0.parquet").read_bytes()[:-9])
    else:
        other.write_parquet(tmp_path / "1.parquet")
    with pytest.raises(TailwiseError, match=message) as error, reading(tmp_path):
        scan(tmp_path).collect()
    assert "hint" not in str(error.value)


@pytest.mark.parametrize("start", ["sep=;\n", "\ufeffSEP=;\r\n", "sep=|\n"])
def test_the_separator_that_excel_declares_is_used(tmp_path, start):
    mark = start.strip()[-1]
    path = write(tmp_path / "t.csv", f"{start}x{mark}a,b,c,d\n1{mark}2\n3{mark}4\n")
    assert scan(path).collect().to_dict(as_series=False) == {"x": [1, 3], "a,b,c,d": [2, 4]}
    bad = write(tmp_path / "bad.csv", f"{start}x{mark}a\n1{mark}2{mark}3\n")
    with pytest.raises(TailwiseError, match="line 3: 3 fields, but the header has 2"), reading(bad):
        scan(bad).collect()


@pytest.mark.parametrize("name", WRITE)
@pytest.mark.parametrize("stem", ["*", "t[1]", "?"])
def test_a_name_is_no_pattern(tmp_path, name, stem):
    WRITE[name](tmp_path / name)
    path = (tmp_path / name).rename(tmp_path / f"{stem}{''.join((tmp_path / name).suffixes)}")
    WRITE[name](tmp_path / name)  # what the pattern would match too
    assert scan(path).collect().equals(FRAME)


@pytest.mark.parametrize("name", ["t[1]", ".cache/t", "_t", "a/../t"])
def test_a_folder_may_have_any_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    FRAME.write_parquet(folder / "*.parquet")
    FRAME.write_parquet(folder / "1.parquet")
    assert scan(folder).collect().height == 6


def test_csv_types_hold_for_every_row(tmp_path):
    rows = ["code,late,number,flag, spaced "] + ["007,1,NA,true,1"] * 5000 + ["123,1.5,2,false,2", "", ",,,,"]
    schema = scan(write(tmp_path / "t.csv", "\n".join(rows))).collect()
    assert dict(schema.schema) == {
        "code": pl.String,
        "late": pl.Float64,
        "number": pl.Int64,
        "flag": pl.Boolean,
        "spaced": pl.Int64,
    }
    assert schema.height == 5001
    assert scan(tmp_path / "t.csv", as_text=["spaced"]).collect_schema()["spaced"] == pl.String


def test_quoted_line_breaks_in_header_and_rows(tmp_path):
    frame = scan(write(tmp_path / "t.csv", '"a, 1","b\nc"\n1,"two\nlines"\n')).collect()
    assert frame.to_dict(as_series=False) == {"a, 1": [1], "b\nc": ["two\nlines"]}


def test_quotes_in_names_are_read_as_in_other_formats(tmp_path):
    frame = pl.DataFrame({'my "id"': ["007"], '"': [1], '""': [2.5], 'x"y': [True], "": ["a"]})
    frame.write_csv(tmp_path / "t.csv")
    assert scan(tmp_path / "t.csv", as_text=['my "id"']).collect().equals(frame)
    assert scan(tmp_path / "t.csv", strings=['"']).collect_schema()['"'] == pl.String


def test_a_header_may_be_long(tmp_path):
    names = [f"expression of the gene number {i}" for i in range(3_000)]
    rows = [names, range(3_000), range(3_000)]
    (tmp_path / "t.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    frame = scan(tmp_path / "t.csv").collect()
    assert frame.columns == names
    assert frame.row(1) == tuple(range(3_000))


def test_a_line_without_separators_is_no_header_if_it_is_endless(tmp_path):
    (tmp_path / "t.csv").write_text("x" * 200_000)
    with pytest.raises(TailwiseError, match="has no header"):
        scan(tmp_path / "t.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "arrow"])
def test_names_lose_blanks_and_are_never_patterns(tmp_path, suffix):
    frame = pl.DataFrame({" x ": [1, 2], "*": ["a", "b"]})
    write = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "jsonl": frame.write_ndjson,
        "arrow": frame.write_ipc,
    }
    write[suffix](tmp_path / f"t.{suffix}")
    assert scan(tmp_path / f"t.{suffix}").collect().equals(frame.rename({" x ": "x"}))
    (batch,) = batches(tmp_path / f"t.{suffix}", columns=["*"])
    assert batch.to_dict(as_series=False) == {"*": ["a", "b"]}


def parquet_bytes():
    import io

    buffer = io.BytesIO()
    FRAME.write_parquet(buffer)
    return buffer.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"a": [1]}).write_parquet(file)
    return file.getvalue()


BROKEN = {
    "nothing there": ("orders.csv", None, "there is no .*orders.csv.* Did you mean 'order.csv'"),
    "empty": ("e.csv", "", "is empty"),
    "blank": ("e.csv", " \n\n", "is empty: it has no header"),
    "columns of one name": ("e.csv", "a,b,a\n1,2,3\n", "2 columns named 'a'"),
    "Latin 1": ("e.csv", "a\nx\nMünchen\n".encode("latin-1"), "not UTF-8: byte 0xfc in line 3.*iconv -f CP1252"),
    "Latin 1 in the header": ("e.csv", "ä\nx\n".encode("latin-1"), "not UTF-8: byte 0xe4 in line 1"),
    "Latin 1 at the end": ("e.csv", "a\ncafé".encode("latin-1"), "not UTF-8: byte 0xe9 in line 2.*iconv"),
    "UTF-16": ("e.csv", "a\nx\n".encode("utf-16"), "is UTF-16"),
    "no text at all": ("e.csv", bytes(100), "not a text file"),
    "Parquet": ("e.csv", parquet(), "is not text but Parquet: give it the ending it should have"),
    "Excel": ("e.csv", b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\xff", "is not text but an archive, such as Excel's"),
    "a zero byte": ("e.csv", "a,b\n1,2\n3,\0\n", "line 3 has a zero byte.*tr -d '.0' < .*e.csv > .*clean-e.csv"),
    "a pattern for a name": ("e.csv", "a,^a.*$\n1,2\n", "'.a...', which polars takes for a pattern: rename it"),
    "a title above the names": (
        "e.csv",
        "Sales of May,,\n\na,b,c\n1,2,3\n",
        "2 columns without a name: .* above the line",
    ),
    "names that differ in blanks": ("e.jsonl", '{"a": 1, " a": 2}\n', "2 columns named 'a'"),
    "old Mac": ("e.csv", "a,b\r1,2\r", "old Mac"),
    "a longer line": ("e.csv", 'a,b\n1,"x\ny"\n1,2,3\n', "line 4: 3 fields, but the header has 2"),
    "an open quote": ("e.csv", 'a,b\n1,2\n"1,x\n2,y\n', "line 3: a quote is not closed"),
    "gzip cut short": ("e.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-8], "cut short or damaged"),
    "bad JSON": ("e.jsonl", '{"a": 1}\n{"a":\n', "line 2 is not JSON"),
    "NaN in JSON": ("e.jsonl", '\ufeff{"a": 1}\n{"a": NaN}\n', "line 2 is not JSON: write null instead of NaN"),
    "infinity in JSON": ("e.jsonl.gz", gzip.compress(b'{"a": -Infinity}\n'), "line 1 .* null instead of -Infinity"),
    "a key twice in JSON": ("e.jsonl", '{"a": {"b": 1, "b": 2}}\n', "line 1 is not JSON: key 'b' occurs twice"),
    "a mark within JSON": ("e.jsonl", '{"a": 1}\n\ufeff{"a": 1}\n', "line 2 is not JSON: Unexpected UTF-8 BOM"),
    "JSON without objects": ("e.jsonl", "[1]\n", "line 1: each line must be a JSON object"),
    "lists and numbers in JSON": (
        "e.jsonl",
        '{"a": null, "b": "x"}\n{"a": [1], "b": 1}\n{"a": 2, "b": 1}\n',
        "'a' is a list in line 2 and a number in line 3",
    ),
    "objects among lists in JSON": (
        "e.jsonl",
        '{"a": {"b": [[1], [2]]}}\n{"a": {"b": [{"c": 1}]}}\n',
        r"'a\.b\[\]' is a list in line 1 and an object in line 2",
    ),
    "Parquet cut short": ("e.parquet", parquet_bytes()[:-9], "cut short"),
    "no Parquet": ("e.parquet", "hello", "is not a Parquet file"),
    "Arrow cut short": ("e.arrow", b"ARROW1\0\0", "is no Arrow file, or it is cut short"),
    "a spreadsheet": ("e.xlsx", "PK", "use CSV"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_in_one_line(tmp_path, name):
    file, content, message = BROKEN[name]
    if content is None:
        write(tmp_path / "order.csv", "a\n1\n")
    else:
        write(tmp_path / file, content)
    with pytest.raises(TailwiseError, match=message) as error, reading(tmp_path / file):
        scan(tmp_path / file).collect()
    assert "\n" not in str(error.value)
    assert file in str(error.value)


def test_the_command_that_converts_a_file_can_be_pasted(tmp_path):
    path = write(tmp_path / "la tin.csv", "a\nM\u00fcnchen\n".encode("latin-1"))
    with pytest.raises(TailwiseError) as error:
        scan(path)
    subprocess.run(str(error.value).partition("with: ")[2], shell=True, check=True)
    assert (tmp_path / "utf8-la tin.csv").read_text() == "a\nMünchen\n"


def test_batches_names_a_missing_column(tmp_path):
    FRAME.write_parquet(tmp_path / "t.parquet")
    with pytest.raises(TailwiseError, match="no column 'A1'"):
        next(batches(tmp_path / "t.parquet", columns=["A1"]))
    assert next(batches(tmp_path / "t.parquet", columns=["c", "a"])).columns == ["c", "a"]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(("n", "sizes"), [(100, [50, 50]), (119, [50, 69]), (120, [50, 50, 20]), (3, [3])])
def test_no_batch_has_a_few_rows_unless_the_table_has(tmp_path, suffix, n, sizes):
    frame = pl.DataFrame({"a": range(n)})
    getattr(frame, f"write_{suffix}")(tmp_path / f"t.{suffix}")
    parts = list(batches(tmp_path / f"t.{suffix}", 50))
    assert [part.height for part in parts] == sizes
    assert pl.concat(parts).equals(frame)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\n\n", "sep=;\n", "\ufeff"])
def test_rows_without_values_are_rows_but_blank_lines_are_none(tmp_path, start, end):
    lines = ["a;b", "", "1;2", ";", "", '3;"x\n\ny"', "", "", "NA;null", "", ";", ""]
    path = write(tmp_path / "t.csv", start.replace("\n", end) + end.join(lines) + end)
    expected = {"a": [1, None, 3, None], "b": ["2", None, "x\n\ny", None]}
    assert scan(path).collect().to_dict(as_series=False) == expected
    assert scan(path, as_text=["a", "b"]).collect()["a"].to_list() == ["1", None, "3", "NA"]
    assert scan(path).select("a").collect(engine="streaming")["a"].to_list() == expected["a"]
    (part,) = batches(path)
    assert part.to_dict(as_series=False) == expected


def test_a_blank_line_between_the_rows_of_one_column_is_a_missing_value(tmp_path):
    path = write(tmp_path / "t.csv", "\na\n1\n\n2\nNA\n\n")
    assert scan(path).collect()["a"].to_list() == [1, None, 2, None]


def test_a_file_is_judged_once_and_anew_when_it_was_changed(tmp_path, monkeypatch):
    passes = []
    collect = pl.LazyFrame.collect
    monkeypatch.setattr(pl.LazyFrame, "collect", lambda *a, **k: (passes.append(1), collect(*a, **k))[1])
    path = write(tmp_path / "t.csv", "a,b\n1,2\n3,4\n")
    for _ in range(3):
        assert scan(path).collect_schema()["a"] == pl.Int64
    assert len(passes) == 1
    assert scan(path, strings=["a"]).collect_schema()["a"] == pl.String
    write(path, "a,b\nx,2\n3,4\n")
    os.utime(path, ns=(0, 0))
    assert scan(path).collect_schema()["a"] == pl.String


def test_a_column_may_be_called_as_other_files_begin(tmp_path):
    assert scan(write(tmp_path / "t.csv", "PAR1,b\n1,2\n")).collect().columns == ["PAR1", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_batches_stream_in_constant_memory(tmp_path, suffix):
    """The reader's threads run some hundred megabytes ahead; beyond that memory does not grow with the file."""
    status = "/proc/self/status"

    def anonymous():
        with open(status) as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("RssAnon"))

    def peak(rows):
        path = tmp_path / f"{rows}.{suffix}"
        values = np.random.default_rng(0).random((rows, 10))
        getattr(pl.DataFrame(values), f"write_{suffix}")(path)
        del values
        high, done = [], threading.Event()

        def watch():
            while not done.is_set():
                high.append(anonymous())
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        count = sum(part.height for part in batches(path))
        done.set()
        watcher.join()
        path.unlink()
        assert count == rows
        return max(high)

    small, large = peak(800_000), peak(2_400_000)  # CSVs of 150 and 460 MB
    assert large < small + 200


def test_a_folder_is_read_with_its_sub_folders(tmp_path):
    folder = tmp_path / "shards"
    (folder / "more").mkdir(parents=True)
    FRAME.write_parquet(folder / "0.parquet")
    FRAME.write_parquet(folder / "1.pq")
    FRAME.write_parquet(folder / "more" / "2.parquet")
    (folder / "._0.parquet").write_bytes(b"what a file manager leaves")
    FRAME.write_csv(folder / "more" / "3.csv")
    assert scan(folder).collect().height == 3 * FRAME.height
    (note,) = [note for note in load(folder).notes if "left out" in note]
    assert note == "1 file that is not Parquet was left out, such as more/3.csv."
    (folder / "more").rename(folder / "a=1")
    with pytest.raises(TailwiseError, match="holds a column in the names of its sub-folders, such as a=1: write the"):
        scan(folder)


def test_a_folder_of_other_tables_says_what_to_name(tmp_path):
    (tmp_path / "shards" / "a").mkdir(parents=True)
    FRAME.write_csv(tmp_path / "shards" / "a" / "0.csv")
    with pytest.raises(TailwiseError, match=r"has no images but tables, such as a/0\.csv: name one of them, or a"):
        load(tmp_path / "shards")


def test_parquet_files_in_sub_folders_alone_are_a_table(tmp_path):
    folder = tmp_path / "checkout"
    (folder / "data").mkdir(parents=True)
    (folder / ".git" / "objects").mkdir(parents=True)
    (folder / "README.md").write_text("# A data set")
    assert table_format(folder) is None
    FRAME.write_parquet(folder / "data" / "train-0.parquet")
    assert scan(folder).collect().equals(FRAME)
    (folder / "data").rename(folder / "a=1")
    with pytest.raises(TailwiseError, match="holds a column in the names of its sub-folders, such as a=1: write the"):
        scan(folder)


@pytest.mark.parametrize("mark", ["\t", ";"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv"])
@pytest.mark.parametrize(("header", "cells"), [("price, EUR", "1,5"), ("price, EUR, net", "2"), ("a", "1,5")])
def test_commas_in_names_and_numbers_separate_nothing(tmp_path, mark, name, header, cells):
    lines = [mark.join([header, "y"]), *[mark.join([cells, "cat"])] * 3]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    frame = scan(tmp_path / name).collect()
    assert frame.columns == [header, "y"]
    assert frame["y"].to_list() == ["cat"] * 3


def test_a_text_without_quotes_is_not_cut_at_its_commas(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n1,a; b\n2,c; d\n")
    assert scan(tmp_path / "t.csv").collect()["text"].to_list() == ["a; b", "c; d"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("word", ["plain", "Zürich", "Łódź €"])
def test_utf_16_is_told_with_and_without_a_mark(tmp_path, encoding, word):
    (tmp_path / "t.csv").write_bytes(f"a,b\n{word},1\n".encode(encoding))
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    with pytest.raises(TailwiseError, match=f"t.csv is {name}, not UTF-8: save it as UTF-8"):
        scan(tmp_path / "t.csv")


def test_integers_that_arrow_lacks_are_read(tmp_path):
    pl.DataFrame({"a": pl.Series([1, 2**90], dtype=pl.Int128)}).write_parquet(tmp_path / "t.parquet")
    assert scan(tmp_path / "t.parquet").collect()["a"].to_list() == [1, 2**90]


def test_what_other_programs_keep_beside_a_table_is_no_part_of_it(tmp_path):
    folder = tmp_path / "delta"
    (folder / "_delta_log").mkdir(parents=True)
    (folder / "empty.parquet").mkdir()
    (folder / "_SUCCESS").touch()
    pl.DataFrame({"other": [1]}).write_parquet(folder / "_delta_log" / "1.parquet")
    with pytest.raises(TailwiseError, match="has no images: one sub-folder per class"):
        load(folder)
    FRAME.write_parquet(folder / "0.parquet")
    data = load(folder)
    assert len(data) == FRAME.height
    assert not [note for note in data.notes if "left out" in note and "Parquet" in note]


@pytest.mark.parametrize(("header", "row"), [("begin;end,label", "8:00;9:00,x"), ("lat|lon,name", "1|2,x")])
def test_commas_separate_where_nothing_speaks_against_it(tmp_path, header, row):
    (tmp_path / "t.csv").write_text(f"{header}\n{row}\n{row}\n")
    assert scan(tmp_path / "t.csv").collect().columns == header.split(",")


@pytest.mark.parametrize(("name", "mark"), [("t.tsv", "\t"), ("t.csv", "\t"), ("t.csv", ";"), ("t.csv", "|")])
def test_other_marks_separate_however_many_commas_there_are(tmp_path, name, mark):
    (tmp_path / name).write_text(f"city, state, country{mark}label\nAustin, TX, USA{mark}cat\n")
    assert scan(tmp_path / name).collect().columns == ["city, state, country", "label"]


def test_blanks_may_follow_commas_that_separate(tmp_path):
    (tmp_path / "t.csv").write_text("a, b; c, d\n1, 2; 3, 4\n1, 2, 5\n")
    assert scan(tmp_path / "t.csv").collect().columns == ["a", "b; c", "d"]


def test_an_inch_mark_is_named_where_it_stands(tmp_path):
    (tmp_path / "t.csv").write_text('a,b,y\n1,x,u\n5,7" pipe,a\n' + "2,q,u\n" * 60)
    with pytest.raises(
        TailwiseError, match=r"t\.csv, line 3: a quote inside a field, as an inch mark, must be doubled"
    ):
        load(tmp_path / "t.csv", "y")


def test_what_pandas_r_and_databases_write_is_read(tmp_path):
    path = write(
        tmp_path / "t.csv",
        "p,r,n,big,id\nTrue,TRUE,1,18446744073709551615,1234567890123456789012345\n"
        "False,FALSE,\\N,3,1234567890123456789012346\n,true,#NULL!,4,\n",
    )
    frame = scan(path).collect()
    assert frame.to_dict(as_series=False) == {
        "p": [True, False, None],
        "r": [True, False, True],
        "n": [1, None, None],
        "big": [2**64 - 1, 3, 4],
        "id": ["1234567890123456789012345", "1234567890123456789012346", None],
    }


def test_what_can_be_read_only_once_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    for path, said in (
        (tmp_path / "pipe.csv", "is a pipe or device"),
        ("-", "standard input is not read"),
        ("https://example.com/x.csv", "https://example.com/x.csv: addresses are not read"),
    ):
        with pytest.raises(TailwiseError, match=f"{said}.*save it to a file first"):
            load(path, "y")
