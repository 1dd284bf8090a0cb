"""What is said of an optional package that cannot be imported, and why it cannot."""

from __future__ import annotations

import importlib

import pytest

from deepset_bench.errors import NotInstalled
from deepset_bench.surroundings import failure, require


def fail_with(monkeypatch, error):
    def fail(name):
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("no", name="tblite.library"), "tblite is not installed; it comes"),
        (ImportError("undefined symbol: dgemm\nat"), "tblite cannot be imported (undefined symbol"),
    ],
)
def test_what_is_missing_or_broken_is_to_be_installed(monkeypatch, error, said):
    fail_with(monkeypatch, error)
    with pytest.raises(NotInstalled) as caught:
        require("tblite", "generate")
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith("pip install 'deepset-bench[generate]'")


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("libtblite.so: failed to map segment from shared object", "not enough memory"),
        ("libtblite.so: cannot open shared object file: Too many open files", "open files"),
    ],
)
def test_what_the_machine_refuses_is_no_matter_of_installing(monkeypatch, refused, said):
    fail_with(monkeypatch, ImportError(refused, path="libtblite.so"))
    with pytest.raises(ImportError) as caught:
        require("tblite", "generate")
    assert said in (failure(caught.value) or "")
