"""Ctrl-C while the command is still being imported."""

import builtins
import sys

import pytest

import tailwise.cli


def test_an_interrupted_import_ends_in_one_line(monkeypatch, capsys):
    real = builtins.__import__

    def interrupted(name, *arguments):
        if name == "tailwise.cli._app":
            raise KeyboardInterrupt
        return real(name, *arguments)

    monkeypatch.setattr(tailwise.cli.signal, "signal", lambda *_: None)  # that of this process stays
    monkeypatch.delitem(sys.modules, "tailwise.cli._app", raising=False)
    monkeypatch.setattr(builtins, "__import__", interrupted)
    with pytest.raises(SystemExit) as ended:
        tailwise.cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "tailwise: interrupted.\n"
