"""Who may import whom: kernel <- sdk <- plugins, no cycles, nothing heavy when an entry point loads."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / "kernel" / "src" / "latentry"
COMMAND_LINE = KERNEL.with_name("latentry_cli")
SDK = ROOT / "sdk" / "src" / "latentry_sdk"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
HEAVY = {"torch", "diffusers", "transformers", "numpy", "PIL", "openvino", "psutil", "scipy", "safetensors"}


@dataclass(frozen=True)
class Import:
    """One import of `module` by `file`; `late` inside a function, `typing` only for the type checker."""

    file: Path
    line: int
    module: str
    late: bool = False
    typing: bool = False

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"

    @property
    def top(self) -> str:
        return self.module.split(".")[0]


def package_of(plugin: Path) -> Path:
    return plugin / "src" / plugin.name.replace("-", "_")


PACKAGES = [KERNEL, COMMAND_LINE, SDK, *(package_of(plugin) for plugin in PLUGINS)]
each_package = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)


def module_name(file: Path, package: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_of(package: Path) -> Mapping[str, Path]:
    return {module_name(file, package): file for file in sorted(package.rglob("*.py"))}


@cache
def imports_of(file: Path, package: Path) -> tuple[Import, ...]:
    return tuple(parsed_imports(file, package))


def parsed_imports(file: Path, package: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    name = module_name(file, package)
    here = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node, late, typing in walk(tree):
        for module in imported(node, here):
            yield Import(file, node.lineno, module, late, typing)


def walk(node: ast.AST, late: bool = False, typing: bool = False) -> Iterator[tuple[Any, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late, typing
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for inner in child.body:
                yield from walk(ast.Module([inner], []), late, True)
            for inner in child.orelse:
                yield from walk(ast.Module([inner], []), late, typing)
        else:
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, late or is_function, typing)


def imported(node: ast.Import | ast.ImportFrom, here: str) -> Iterator[str]:
    """Each imported thing by its full dotted name; the last part may be a module or a name in one."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    parents = here.split(".")[: len(here.split(".")) - node.level + 1] if node.level else []
    base = ".".join([*parents, *([node.module] if node.module else [])])
    yield from (f"{base}.{alias.name}" for alias in node.names)


def all_imports(package: Path) -> list[Import]:
    return [found for file in files_of(package).values() for found in imports_of(file, package)]


def graph(package: Path) -> Mapping[str, set[str]]:
    """Module to the modules of the same package it imports at run time, late imports included."""
    files = files_of(package)
    edges: dict[str, set[str]] = {name: set() for name in files}
    for name, file in files.items():
        for found in imports_of(file, package):
            target = found.module if found.module in files else found.module.rpartition(".")[0]
            if not found.typing and target in files and target != name:
                edges[name].add(target)
    return edges


def reachable(edges: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(edges[start])
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += edges[name]
    return seen


def components(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """The strongly connected components of more than one module, or of one that reaches itself."""
    reach = {name: reachable(edges, name) for name in edges}
    loops = {frozenset(other for other in reach[name] if name in reach[other]) for name in edges}
    return sorted(sorted(loop) for loop in loops if loop)


def declared(plugin: Path) -> set[str]:
    """The distributions a plugin's pyproject asks for, extras included, in normal form."""
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project.get("dependencies", ())]
    lines += [line for extra in project.get("optional-dependencies", {}).values() for line in extra]
    return {normal(re.split(r"[^\w.-]", line.strip())[0]) for line in lines}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def providers(top: str) -> set[str]:
    return {normal(name) for name in packages_distributions().get(top, [top])}


def entry_module(plugin: Path) -> str:
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (value,) = project["entry-points"]["latentry"].values()
    return str(value).partition(":")[0]


def at_load(package: Path, entry: str) -> set[str]:
    """The modules of `package` that importing `entry` imports, the packages above them included."""
    files, seen, todo = files_of(package), set[str](), [entry]
    while todo:
        name = todo.pop()
        if name in seen or name not in files:
            continue
        seen.add(name)
        todo.append(name.rpartition(".")[0])
        for found in imports_of(files[name], package):
            if not found.late and not found.typing:
                todo += [found.module, found.module.rpartition(".")[0]]
    return seen


def test_there_are_plugins_to_look_at() -> None:
    assert len(PLUGINS) >= 6


def test_the_kernel_imports_no_surface_no_sdk_and_no_plugin() -> None:
    """But for `python -m latentry`, which is the command line."""
    others = [found for found in all_imports(KERNEL) if found.top.startswith("latentry_")]
    assert [str(found) for found in others if found.file.name != "__main__.py"] == []


def test_the_command_line_imports_the_kernel_and_the_sdk_but_no_plugin() -> None:
    others = [found for found in all_imports(COMMAND_LINE) if found.top.startswith("latentry_")]
    assert [str(found) for found in others if found.top not in ("latentry_cli", "latentry_sdk")] == []


def test_the_sdk_imports_the_kernel_but_no_plugin() -> None:
    others = [found for found in all_imports(SDK) if found.top.startswith("latentry_")]
    assert [str(found) for found in others if found.top != "latentry_sdk"] == []


@each_plugin
def test_a_plugin_imports_neither_the_kernel_nor_another_plugin(plugin: Path) -> None:
    package = package_of(plugin)
    found = [found for found in all_imports(package) if found.top.startswith("latentry")]
    assert [str(each) for each in found if each.top not in ("latentry_sdk", package.name)] == []


@each_plugin
def test_a_plugin_imports_only_what_it_declares(plugin: Path) -> None:
    package = package_of(plugin)
    known = {*sys.stdlib_module_names, "latentry_sdk", package.name}
    foreign = [found for found in all_imports(package) if found.top not in known]
    assert [str(found) for found in foreign if not providers(found.top) & declared(plugin)] == []


@each_plugin
def test_a_plugin_declares_the_host_it_needs(plugin: Path) -> None:
    assert "latentry" in declared(plugin)


@each_package
def test_no_package_has_an_import_cycle(package: Path) -> None:
    assert components(graph(package)) == []


@each_plugin
def test_loading_a_plugin_imports_nothing_heavy(plugin: Path) -> None:
    package = package_of(plugin)
    files = files_of(package)
    loaded = [
        found for name in at_load(package, entry_module(plugin)) for found in imports_of(files[name], package)
    ]
    assert [
        str(found) for found in loaded if found.top in HEAVY and not found.late and not found.typing
    ] == []


@pytest.mark.parametrize("package", [KERNEL, SDK], ids=["kernel", "sdk"])
def test_kernel_and_sdk_import_nothing_heavy_at_all_but_for_types_and_in_functions(package: Path) -> None:
    found = [found for found in all_imports(package) if found.top in HEAVY]
    assert [str(each) for each in found if not each.late and not each.typing] == []


def test_the_search_for_cycles_finds_one() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}
    assert components(edges) == [["b", "c"], ["d"]]


def test_the_search_for_imports_sees_each_kind(tmp_path: Path) -> None:
    package = tmp_path / "thing"
    package.mkdir()
    source = "import torch\nif TYPE_CHECKING:\n    import numpy\n"
    source += "def f():\n    from . import near\n    import PIL.Image\n"
    (package / "__init__.py").write_text(source)
    found = [(each.module, each.late, each.typing) for each in imports_of(package / "__init__.py", package)]
    assert found == [
        ("torch", False, False),
        ("numpy", False, True),
        ("thing.near", True, False),
        ("PIL.Image", True, False),
    ]
