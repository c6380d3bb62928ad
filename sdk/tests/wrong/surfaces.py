"""Surfaces that break one promise each; `fails` is the one test of the suite that must tell."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from latentry_sdk import SurfaceSpec
from latentry_sdk.testing import SurfaceSuite

SERVING = Path(__file__).parent / "serving"


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The distribution of the wrong surface, on the path of this process and of those that it starts."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copy(SERVING / "wrong_surface.py", folder)
    about = folder / "wrong_surface-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: wrong-surface\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[latentry]\nwrong-surface = wrong_surface\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        yield
    sys.modules.pop("wrong_surface", None)


class Wrong(SurfaceSuite):
    """A suite whose surface is wrong as `wrong` says."""

    fails: ClassVar[str] = ""
    wrong: ClassVar[str] = "not"
    seconds = 6.0
    test_its_module_imports_nothing_heavy: Any = None
    """Takes a process of its own, and the module is the same but in one of these."""

    def __init_subclass__(cls) -> None:
        cls.variables = {"WRONG": cls.wrong}

    @pytest.fixture(autouse=True)
    def way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WRONG", self.wrong)

    @pytest.fixture
    def spec(self) -> SurfaceSpec:
        from wrong_surface import SURFACE

        return SURFACE


class TestRight(Wrong):
    """One that answers breaks none."""


class TestImportsTooMuch(Wrong):
    fails = "test_its_module_imports_nothing_heavy"
    test_its_module_imports_nothing_heavy = SurfaceSuite.test_its_module_imports_nothing_heavy
    heavy = frozenset({"wrong_surface"})


class TestAnswersElsewhere(Wrong):
    fails = "test_its_routes_lie_below_its_prefixes"
    wrong = "elsewhere"


class TestCannotBeMounted(Wrong):
    fails = "test_its_routes_lie_below_its_prefixes"
    wrong = "raises"


class TestRefusesWithAnObject(Wrong):
    fails = "test_refusals_are_json"
    wrong = "refusal"


class TestFailsToAnswer(Wrong):
    fails = "test_it_answers"
    wrong = "answers"


class TestTakesGarbage(Wrong):
    fails = "test_it_refuses_garbage"
    wrong = "garbage"


class TestNeverStops(Wrong):
    fails = "test_a_server_with_it_stops"
    wrong = "stays"


class TestServesWithAnError(Wrong):
    fails = "test_it_is_served_and_closed"
    seconds = 60.0

    @pytest.fixture
    def spec(self) -> SurfaceSpec:
        from wrong_surface import SURFACE

        return SurfaceSpec("wrong", serve=SURFACE.serve)
