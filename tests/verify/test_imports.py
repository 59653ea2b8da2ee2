"""Imports that a workflow does not allow."""

import pytest
from guarded import change, find

FORBID = {"imports": {"forbid": ["ctypes", "os.path", "secret.answers"]}}
ALLOW = {"imports": {"allow": ["math", "numpy"]}}


@pytest.mark.parametrize(
    "line",
    [
        "import ctypes",
        "import math, ctypes.util",
        "import ctypes as c",
        "from ctypes import cdll",
        "import os.path",
        "from os import path",
        "from os import *",
        "from os.path import join",
        "from . import ctypes",
        "from .secret import answers",
        "def f():\n    if 0:\n        import ctypes",
        "import importlib\nimportlib.import_module('ctypes')",
        "from importlib import import_module as im\nim('ctypes')",
        "from importlib import import_module\nimport_module(name='ctypes')",
        "__import__('ctypes')",
        "__import__('cty' + 'pes')",
        "__import__(f'ctypes')",
        "__builtins__.__import__('ctypes')",
        "__import__(input())",
        "load = __import__\nload('ctypes')",
        "import runpy\nrunpy.run_module('ctypes')",
        "import pkgutil\npkgutil.resolve_name('ctypes:cdll')",
    ],
)
def test_a_forbidden_import_is_refused_in_every_form(line):
    found = change("x = 1\n", f"x = 1\n{line}\n", **FORBID)
    assert "guardrails.imports.forbid" in found


@pytest.mark.parametrize("line", ["import os", "from os import sep", "import ctypesx", "x.ctypes()", "'import ctypes'"])
def test_what_only_resembles_it_is_allowed(line):
    assert change("x = 1\n", f"x = 1\n{line}\n", **FORBID) == ""


def test_a_problem_names_line_module_and_rule():
    found = change("", "x = 1\nfrom ctypes import cdll\n", **FORBID)
    assert found == "train.py:2: imports `ctypes`, against guardrails.imports.forbid `ctypes`"


@pytest.mark.parametrize("line", ["import numpy.linalg", "from math import pi", "import numpy as np, math"])
def test_with_a_list_what_it_names_is_allowed(line):
    assert change("", f"{line}\n", **ALLOW) == ""


@pytest.mark.parametrize(
    "line", ["import os", "from . import helper", "import math, sys", "__import__(x)", "from os import path"]
)
def test_with_a_list_all_else_is_refused(line):
    assert "guardrails.imports.allow" in change("", f"{line}\n", **ALLOW)


def test_what_the_file_imported_before_is_allowed():
    assert change("import ctypes\nx = 1\n", "x = 2\nimport ctypes\nimport ctypes as c\n", **FORBID) == ""
    assert find({"a.py": "import ctypes\n"}, {"b.py": "import ctypes\n"}, **FORBID)


def test_python_that_cannot_be_read_is_refused_where_imports_are_limited():
    assert "its imports cannot be read" in change("print 1", "print 2; import ctypes", **FORBID)


def test_other_languages_are_left_alone():
    assert change("", "import ctypes\n", path="a.hs", **FORBID) == ""
    assert "imports `ctypes`" in change("", "#!/usr/bin/env python3\nimport ctypes\n", path="tool", **FORBID)
