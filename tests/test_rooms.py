"""What a room exports is found under its name, whatever of the room was loaded before."""

import re
from pathlib import Path

import tailwise


def test_no_function_is_hidden_by_a_file_of_its_name():
    """Loading a file of a package sets it as the package's attribute, which then is not looked up."""
    exported = 0
    for stub in Path(tailwise.__file__).parent.rglob("__init__.pyi"):
        names = set(re.findall(r"^from \.\w+ import (\w+)", stub.read_text(), re.MULTILINE))
        exported += len(names)
        assert not names & {file.stem for file in stub.parent.glob("*.py")}
    assert exported > 100
