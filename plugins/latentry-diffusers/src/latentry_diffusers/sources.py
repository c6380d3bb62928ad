"""Read in diffusers' own source what its pipelines take and give, without importing it."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CLASS = re.compile(rb"^class (\w+)\(", re.MULTILINE)
TABLE = "AUTO_{}_PIPELINES_MAPPING"
TABLES = {"txt2img": "TEXT2IMAGE", "img2img": "IMAGE2IMAGE", "inpaint": "INPAINT"}


@dataclass(frozen=True)
class Pipeline:
    """A pipeline class: what its call takes, with the defaults that are literals, and what it gives.

    `required` are the parameters without a default, `gives` the names in its result: "images", "frames" …
    """

    name: str
    defaults: Mapping[str, Any]
    required: frozenset[str]
    gives: frozenset[str]

    def takes(self, *names: str) -> bool:
        """Whether its call has all these parameters."""
        return all(name in self.defaults or name in self.required for name in names)


def folder() -> Path:
    """Where diffusers keeps its pipelines; a folder that is not there where it is not installed."""
    spec = find_spec("diffusers")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0] if places else "diffusers-is-not-installed") / "pipelines"


@cache
def pipeline(name: str) -> Pipeline | None:
    """The pipeline class of this name, or None where the installed diffusers has none that can be called."""
    found = _definition(name)
    if found is None:
        return None
    for part in found.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__call__":
            return _described(name, part)
    bases = [pipeline(base.id) for base in found.bases if isinstance(base, ast.Name)]
    inherited = next(filter(None, bases), None)
    return inherited and Pipeline(name, inherited.defaults, inherited.required, inherited.gives)


@cache
def automatic(task: str) -> Mapping[str, str]:
    """diffusers' `AutoPipeline` table for txt2img, img2img or inpaint: class names by kind of model."""
    for part in ast.parse((folder() / "auto_pipeline.py").read_bytes()).body:
        targets = [ast.unparse(each) for each in part.targets] if isinstance(part, ast.Assign) else []
        if targets == [TABLE.format(TABLES[task])]:
            rows = [row.elts for row in ast.walk(part) if isinstance(row, ast.Tuple)]
            return {ast.literal_eval(kind): ast.unparse(value) for kind, value in rows}
    return {}


@cache
def packages() -> frozenset[str]:
    """The packages of diffusers' pipelines, which may hold components."""
    return frozenset(path.parent.name for path in folder().rglob("__init__.py"))


@cache
def _files() -> Mapping[str, Path]:
    """The file of each class, by one look through all of them."""
    files = sorted(folder().rglob("*.py"))
    return {name.decode(): file for file in files for name in CLASS.findall(file.read_bytes())}


def _definition(name: str) -> ast.ClassDef | None:
    file = _files().get(name)
    parts = ast.parse(file.read_bytes()).body if file else []
    return next((part for part in parts if isinstance(part, ast.ClassDef) and part.name == name), None)


def _described(name: str, call: ast.FunctionDef) -> Pipeline:
    places, named = call.args.posonlyargs + call.args.args, call.args.kwonlyargs
    values = [*[None] * (len(places) - len(call.args.defaults)), *call.args.defaults, *call.args.kw_defaults]
    pairs = [(argument.arg, value) for argument, value in zip(places + named, values, strict=True)]
    defaults = {argument: _literal(value) for argument, value in pairs if value is not None}
    required = frozenset(argument for argument, value in pairs if value is None) - {"self"}
    return Pipeline(name, defaults, required, frozenset(_results(call)))


def _results(call: ast.FunctionDef) -> list[str]:
    given = [part.value for part in ast.walk(call) if isinstance(part, ast.Return)]
    made = [value for value in given if isinstance(value, ast.Call)]
    plain = ["images" for value in made if ast.unparse(value.func) == "ImagePipelineOutput"]
    return [*plain, *(keyword.arg or "" for value in made for keyword in value.keywords)]


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return None
