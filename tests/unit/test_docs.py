"""What the documents name exists: files, modules, settings, commands, links, headings."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
import typer.core
import typer.main

from cli.configuration import rows
from cli.main import app
from core.command_line import DATA
from storage.tables import Base

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "THIRD_PARTY.md")),
    *sorted(ROOT.glob("docs/*.md")),
]

PACKAGES = "bench|cli|core|evaluation|facewarden|fuzz|ingest|models|review|storage|tests|webhooks|worker"
FENCED = re.compile(r"^```.*?\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^]]*]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
ALONE = r"(?<![\w./$~-])"  # not the end of a longer path
PATH = re.compile(rf"{ALONE}(?:{PACKAGES}|docs)/[\w./-]*")
MODULE = re.compile(rf"{ALONE}(?:{PACKAGES})(?:\.[A-Za-z_]\w*)+(?![\w-]|\.\w)")
SCRIPT = re.compile(rf"{ALONE}[a-z_]\w*\.py\b")  # a module beside the one named last
TABLE = re.compile(r"\btable `(\w+)`")
SETTING = re.compile(r"FACEWARDEN_[A-Z0-9_]+")
TARGET = re.compile(r"(?<![\w-])make ([a-z][\w-]*)")
COMMAND = re.compile(r"(?:^|[\s(]|bin/)facewarden\s([a-z][a-z-]*)", re.M)


def code(page: Path) -> str:
    """All that a page shows as code, a line each."""
    text = page.read_text()
    return "\n".join([*FENCED.findall(text), *INLINE.findall(FENCED.sub("", text))])


@cache
def defined(module: Path) -> frozenset[str]:
    """What a module binds at its top level, and the members of its classes as `Class.member`."""
    found: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        found |= bound(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for each in node.body for name in bound(each)}
    return frozenset(found)


def bound(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Import() | ast.ImportFrom():
            return {alias.asname or alias.name for alias in node.names}
        case ast.Assign():
            return {name.id for each in node.targets for name in ast.walk(each) if isinstance(name, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()


def exists(dotted: str) -> bool:
    """Whether `models.looks`, `core.errors.PermanentError` or `storage.tables.Video.sha256` is there."""
    folder, parts = ROOT, dotted.split(".")
    while parts and (folder / parts[0]).is_dir():
        folder /= parts.pop(0)
    if not parts:
        return True
    module = folder / f"{parts[0]}.py"
    names, module = (parts[1:], module) if module.is_file() else (parts, folder / "__init__.py")
    return not names or (module.is_file() and ".".join(names) in defined(module))


@cache
def headings(page: Path) -> frozenset[str]:
    """The anchors of a page's headings."""
    lines = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines)


def commands() -> set[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return set(group.commands)


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    named = {name.rstrip(".") for name in PATH.findall(page.read_text())}
    assert not sorted(name for name in named if not (ROOT / name).exists())


@every_page
def test_every_module_that_is_named_exists(page: Path) -> None:
    named = {name for name in MODULE.findall(code(page)) if not name.endswith(".com")}  # review.example.com
    assert not sorted(name for name in named if not exists(name))


@every_page
def test_every_script_that_is_named_exists(page: Path) -> None:
    there = {path.name for folder in PACKAGES.split("|") for path in (ROOT / folder).rglob("*.py")}
    assert not sorted(set(SCRIPT.findall(code(page))) - there)


@every_page
def test_every_table_that_is_named_exists(page: Path) -> None:
    assert not sorted(set(TABLE.findall(page.read_text())) - Base.metadata.tables.keys())


@every_page
def test_every_setting_that_is_named_exists(page: Path) -> None:
    there = {row.name for row in rows()} | {DATA}
    # Each may also be read from a file that a variable of its name and _FILE names.
    named = {name.rstrip("_").removesuffix("_FILE") for name in SETTING.findall(page.read_text())}
    assert not sorted(name for name in named if not any(f"{each}_".startswith(f"{name}_") for each in there))


@every_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    assert not sorted(set(COMMAND.findall(code(page))) - commands())


@every_page
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    there = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))
    assert not sorted(set(TARGET.findall(code(page))) - there)


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in (first or second for first, second in LINK.findall(page.read_text())):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_a_name_that_is_gone_is_found() -> None:
    assert exists("worker.screening.pipeline")
    assert exists("core.errors.PermanentError")
    assert exists("storage.tables.Video.sha256")
    assert not exists("worker.pipeline")
    assert not exists("core.errors.NoSuchError")
    assert MODULE.findall("`python -m models.training.gpu`, core.media_formats") == [
        "models.training.gpu",
        "core.media_formats",
    ]
    assert PATH.findall("`worker/decoder/sampling.py` and /srv/models/x") == ["worker/decoder/sampling.py"]
