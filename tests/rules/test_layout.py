"""What every package of the repository looks like, and how large the kernel may be."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / "kernel" / "src" / "latentry"
COMMAND_LINE = KERNEL.with_name("latentry_cli")
SDK = ROOT / "sdk" / "src" / "latentry_sdk"
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if path.name.startswith("latentry-"))
KERNEL_LINES = 1_500
README_LINES = 15
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
LAYOUT |= {tokenize.ENCODING, tokenize.ENDMARKER}
HERE = "|".join(("root", "work"))
"""Folders of the machines this was written on; the pattern is put together so as not to find itself."""

each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=lambda plugin: plugin.name)


def code_lines(source: str) -> int:
    """Lines that hold code: neither blank, nor a comment, nor a docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in LAYOUT for line in lines_of(token)}
    return len(lines - docstring_lines(source))


def lines_of(token: tokenize.TokenInfo) -> range:
    return range(token.start[0], token.end[0] + 1)


def docstring_lines(source: str) -> set[int]:
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    texts = [node for node in nodes if is_text(node)]
    return {line for node in texts for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def is_text(node: ast.Expr) -> bool:
    """A string that stands alone: a docstring, or the description of the name above it."""
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def undocumented(package: Path) -> Iterator[str]:
    for file in sorted(package.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        place = str(file.relative_to(ROOT))
        if not ast.get_docstring(tree):
            yield place
        for node in tree.body:
            yield from (f"{place}: {name}" for name in without_docstring(node))


def without_docstring(node: ast.AST, owner: str = "") -> Iterator[str]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    if not isinstance(node, kinds) or node.name.startswith("_") or is_stub(node):
        return
    if not ast.get_docstring(node):
        yield f"{owner}{node.name}"
    for child in node.body if isinstance(node, ast.ClassDef) else ():
        yield from without_docstring(child, f"{owner}{node.name}.")


def is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """A body of `...`: an overload, or a method of a protocol whose docstring is the class's."""
    value = node.body[0].value if isinstance(node.body[0], ast.Expr) else None
    return isinstance(value, ast.Constant) and value.value is Ellipsis


def repository_files() -> list[Path]:
    """What is or would be committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    paths = [ROOT / name.decode() for name in names if name]
    return [path for path in paths if path.is_file()]


def test_the_kernel_can_be_read_in_an_hour() -> None:
    sizes = {file.name: code_lines(file.read_text(encoding="utf-8")) for file in KERNEL.rglob("*.py")}
    assert sum(sizes.values()) <= KERNEL_LINES, sizes


def test_counting_leaves_out_docstrings_comments_and_blank_lines() -> None:
    source = '"""Doc\nstring."""\n\n# why\nx = 1  # here\n"""About x."""\ntext = """two\nlines"""\n'
    assert code_lines(source) == 3


@pytest.mark.parametrize("package", [KERNEL, COMMAND_LINE, SDK], ids=["kernel", "command-line", "sdk"])
def test_all_that_is_public_has_a_docstring(package: Path) -> None:
    assert list(undocumented(package)) == []


@each_plugin
def test_a_plugin_has_a_project_a_readme_tests_and_types(plugin: Path) -> None:
    package = plugin / "src" / plugin.name.replace("-", "_")
    wanted = [plugin / "pyproject.toml", plugin / "README.md", package / "__init__.py", package / "py.typed"]
    assert [str(path.relative_to(ROOT)) for path in wanted if not path.is_file()] == []
    assert list((plugin / "tests").rglob("test_*.py")), "it has no tests"


@each_plugin
def test_a_plugins_readme_is_short_and_shows_how_to_install_it(plugin: Path) -> None:
    text = (plugin / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    assert f"pip install {plugin.name}" in text


def test_dev_txt_installs_every_plugin() -> None:
    lines = (ROOT / "plugins" / "dev.txt").read_text(encoding="utf-8").splitlines()
    listed = [line.removeprefix("-e plugins/") for line in lines if line.startswith("-e ")]
    assert sorted(listed) == [plugin.name for plugin in PLUGINS]


def test_no_file_names_a_folder_or_an_index_of_the_machine_it_was_written_on() -> None:
    words = re.compile(rf"(?<![\w.}}/])/({HERE})/\w|--(extra-)?index-url|\bindex-url\s*=".encode())
    found = {str(path.relative_to(ROOT)): match[0] for path in repository_files()
             if path != Path(__file__) and (match := words.search(path.read_bytes()))}  # fmt: skip
    assert found == {}
