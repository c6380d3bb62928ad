"""What the pages say is so: examples run, commands exist, links lead somewhere, tables are whole."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import click
import pytest

from latentry import Config, Host, Request
from latentry_cli import build

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]
READMES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("plugins/*/README.md")),
    *sorted(ROOT.glob("examples/plugins/*/README.md")),
]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^>]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)
INDENTED = re.compile(r"^    (latentry .+)$", re.MULTILINE)
TEST_FILE = re.compile(r"`((?:kernel|sdk|plugins|tests)/[\w/.-]*test_\w+\.py)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of code, the mark in the comment above it, and the heading it stands under."""

    page: Path
    heading: str
    mark: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}-{self.heading}-{self.mark}"


def blocks(*pages: Path) -> list[Block]:
    """All fenced blocks of the pages, in order."""
    return list(_blocks(pages or tuple(PAGES)))


def _blocks(pages: tuple[Path, ...]) -> Iterator[Block]:
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in BLOCK.finditer(text):
            headings = HEADING.findall(_without_blocks(text[: found.start()]))
            yield Block(page, headings[-1], found["mark"] or "", found["language"], found["code"])


def _without_blocks(text: str) -> str:
    return BLOCK.sub("", text)


def _links(page: Path) -> list[str]:
    prose = re.sub(r"(?<!\[)`[^`\n]+`(?!\])", "", _without_blocks(page.read_text(encoding="utf-8")))
    return LINK.findall(prose)


def _commands(page: Path) -> Iterator[list[str]]:
    text = page.read_text(encoding="utf-8")
    shell = "\n".join(block.code for block in blocks(page) if block.language == "sh")
    lines = [*shell.splitlines(), *INDENTED.findall(_without_blocks(text))]
    yield from (shlex.split(line)[1:] for line in lines if line.startswith("latentry "))


def _anchors(page: Path) -> set[str]:
    texts = HEADING.findall(_without_blocks(page.read_text(encoding="utf-8")))
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip().lower()) for text in texts}


RUNNABLE = [block for block in blocks() if block.mark == "run"]
INCLUDED = [block for block in blocks() if block.mark.startswith("file: ")]
PLUGINS = [block for block in blocks() if block.mark == "plugin"]


@pytest.fixture(scope="module")
def cli() -> click.Group:
    """The command line with every installed plugin."""
    host = Host(config=Config())
    assert [record.reason for record in host.records if record.status != "active"] == []
    return build(host)


@pytest.mark.slow
@pytest.mark.parametrize("block", RUNNABLE, ids=str)
def test_a_runnable_block_runs(block: Block, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
    environ["LATENTRY_CONFIG"] = str(tmp_path / "none.toml")
    done = subprocess.run(
        [sys.executable, "-c", block.code],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", INCLUDED, ids=str)
def test_an_included_file_is_shown_as_it_is(block: Block) -> None:
    path = block.mark.removeprefix("file: ")
    assert block.code == (ROOT / path).read_text(encoding="utf-8"), (
        f"copy {path} into {block.page.name} again"
    )


@pytest.mark.parametrize("block", PLUGINS, ids=str)
def test_the_example_of_a_hook_is_a_plugin_that_loads(block: Block) -> None:
    plugin = ModuleType("example")
    exec(compile(block.code, block.page.name, "exec"), vars(plugin))
    host = Host(plugins=[plugin], config=Config())
    record = host.records[-1]
    assert (record.status, record.reason) == ("active", None)
    assert block.heading.partition("(")[0] in record.provides


def test_every_hook_has_an_example() -> None:
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", _without_blocks(text), re.MULTILINE)
    assert [block.heading for block in PLUGINS] == headings


@pytest.mark.parametrize("page", [*READMES, *DOCS], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_shown_is_understood(page: Path, cli: click.Group) -> None:
    for name, *arguments in _commands(page):
        command = cli.commands.get(name)
        assert command, f"{page.name} shows `latentry {name}`, which does not exist"
        try:
            context = command.make_context(name, arguments, obj=cli.context_settings["obj"])
        except click.BadParameter as exc:
            if exc.param is None or not isinstance(exc.param.type, click.Path):  # the page's file is not here
                raise
        else:
            _check_names(context)


def _check_names(context: click.Context) -> None:
    registry = context.obj.registry
    for parameter, table in (("sampler", registry.samplers), ("scheduler", registry.schedulers)):
        named = context.params.get(parameter)
        if named not in (None, "midpoint"):  # the example is not installed here
            table.find(named)


@pytest.mark.slow
def test_every_command_of_the_readme_has_help() -> None:
    names = sorted({command[0] for command in _commands(ROOT / "README.md")})
    assert {"txt2img", "inpaint", "plugins", "doctor"} <= set(names)
    for name in names:
        command = [sys.executable, "-m", "latentry", name, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout[:6]) == (0, "Usage:"), done.stderr


def test_the_readmes_two_commands_use_environments_that_tox_has() -> None:
    text = (ROOT / "tox.ini").read_text(encoding="utf-8")
    environments = set(re.findall(r"^\[testenv:(\w+)\]", text, re.MULTILINE))
    asked = re.findall(r"tox run -e (\S+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert asked == ["pictures", "core,all"]
    assert {name for names in asked for name in names.split(",")} <= environments


def test_the_readme_lists_the_plugins_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`latentry-[^|]+) \|", text, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(latentry-[\w-]+)`", row)]
    assert sorted(listed) == sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


def test_the_readme_lists_the_samplers_and_schedules_that_are_there() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    registry = Host(config=Config()).registry
    for plugin, table in (("samplers", registry.samplers), ("schedules", registry.schedulers)):
        found = re.search(rf"^\| `latentry-{plugin}` \| the {plugin} (.+) \|$", text, re.MULTILINE)
        assert found
        assert sorted(found[1].split(", ")) == sorted(name for name in table if table.owners[name] == plugin)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_internal_links_lead_somewhere(page: Path) -> None:
    for target in _links(page):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name} links to {path}, which is not there"
        assert not anchor or anchor in _anchors(linked), f"{page.name}: {target} is no heading"


def test_the_promises_name_tests_that_are_there() -> None:
    named = TEST_FILE.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_table_of_hooks_is_whole() -> None:
    from latentry import hooks

    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \| (?:collect|call each|first result)", text, re.MULTILINE)
    assert sorted(listed) == sorted(
        name for name in vars(hooks) if hasattr(getattr(hooks, name), "latentry_spec")
    )


def test_the_toy_implements_every_hook() -> None:
    records = {record.name: record for record in Host(config=Config()).records}
    assert sorted(records["toy"].provides) == sorted(block.heading.partition("(")[0] for block in PLUGINS)


def test_a_request_as_the_pages_write_it_is_valid() -> None:
    assert Request(task="txt2img", options={"between": {"part": 0.6}}).options["between"]["part"] == 0.6


@pytest.mark.slow
def test_mkdocs_builds_the_pages_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "hooks" / "index.html").is_file()
