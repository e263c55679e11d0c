"""Names in strings: whatever configuration, image and documents name is there, which no import shows when it moves."""

import ast
import os
import re
import tomllib
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

from config.celery import configuration

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = PYPROJECT["tool"]["importlinter"]
ROOMS = CONTRACTS["root_packages"]
DOTTED = re.compile(rf"(?:{'|'.join(ROOMS)})(?:\.\w+)+(?::\w+)?")
NO_MODULES = {
    "registerbro.escaped": "an error handler of Python's codecs",
    "registerbro.ending": "an extension in an ASGI scope",
    "portal.env": "the name of a file",
    "simulators.json": "the name of a file",
}
MADE = ("dist/", "var/", "text/")
"""What a path in a document begins with that is no file of the project's: what is made, and a media type."""


def project_files(suffix):
    """The files of the project with this suffix: those in no folder that `.gitignore` names. Needs no git."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text("utf-8").splitlines() if line.endswith("/")]
    ignored.append(".git")
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not any(fnmatch(name, pattern) for pattern in ignored))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(suffix))


def file_of(module):
    """The file of a module or a package; None if there is none."""
    path = ROOT.joinpath(*module.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.is_file()), None)


@cache
def names_in(file):
    """The names that a module's own level binds."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def is_there(name):
    """Whether `module`, `module.attribute`, `module:attribute` or `package.*` can be found."""
    name = re.sub(r"(\.\*+)+$", "", name)
    module, _, attribute = name.partition(":")
    if attribute:
        file = file_of(module)
        return file is not None and attribute in names_in(file)
    if file_of(module) or ROOT.joinpath(*module.split(".")).is_dir():
        return True
    parent, _, attribute = module.rpartition(".")
    file = file_of(parent) if parent else None
    return file is not None and attribute in names_in(file)


def missing(names):
    return sorted({name for name in names if not is_there(name)})


def test_a_name_that_is_not_there_is_seen():
    known = ["workers.app", "workers.app:app", "config.celery.QUEUES", "workers.process.*"]
    gone = ["workers.gone", "workers.app:gone", "config.celery.GONE", "gone.*", "workers.app.app.app"]
    assert missing(known + gone) == sorted({*gone})


def test_every_string_in_the_source_that_is_a_dotted_name_of_ours_leads_somewhere():
    strings = {
        node.value
        for file in project_files(".py")
        if file.relative_to(ROOT).parts[0] in ROOMS
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and DOTTED.fullmatch(node.value)
    }
    pool, strategy = "workers.process.coroutine_pool:TaskPool", "workers.process.coroutine_request:strategy"
    assert {pool, strategy, "workers.process.beat:Scheduler"} <= strings
    assert missing(strings - NO_MODULES.keys()) == []


def test_celery_finds_what_its_configuration_names(make_settings):
    settings = configuration(make_settings())
    assert missing([settings["worker_pool"], settings["beat_scheduler"], *settings["include"]]) == []


def test_kombu_finds_the_transport():
    import kombu.transport

    ours = [name for name in kombu.transport.TRANSPORT_ALIASES.values() if name.split(".")[0] in ROOMS]
    assert missing(ours) == []


def test_mutmut_finds_what_it_changes_copies_and_runs():
    settings = PYPROJECT["tool"]["mutmut"]
    arguments = settings["pytest_add_cli_args"]
    selected = [one.partition("=")[2] for one in arguments if one.startswith(("--ignore=", "--deselect="))]
    paths = settings["source_paths"] + settings["also_copy"] + settings["pytest_add_cli_args_test_selection"] + selected
    assert [path for path in paths if not (ROOT / path.partition("::")[0]).exists()] == []
    assert [pattern for pattern in settings["only_mutate"] if not list(ROOT.glob(pattern))] == []
    tests = [path.partition("[")[0].split("::") for path in selected if "::" in path]
    assert [name for path, name in tests if f"def {name}(" not in (ROOT / path).read_text("utf-8")] == []


def test_mypy_makes_its_exceptions_for_modules_that_are_there():
    overrides = [name for one in PYPROJECT["tool"]["mypy"]["overrides"] for name in one["module"]]
    assert missing([name for name in overrides if name.split(".")[0] in ROOMS]) == []
    assert missing(PYPROJECT["tool"]["mypy"]["files"]) == []


def test_import_contracts_are_about_modules_that_are_there():
    names = set(ROOMS)
    for contract in CONTRACTS["contracts"]:
        layers = [part.strip(" ()") for layer in contract.get("layers", []) for part in re.split("[|:]", layer)]
        names |= {f"{box}.{layer}" for box in contract.get("containers", []) for layer in layers}
        names |= set() if contract.get("containers") else set(layers)
        for key in ("source_modules", "forbidden_modules", "modules", "protected_modules", "allowed_importers",
                    "ancestors", "containers"):  # fmt: skip
            names |= set(contract.get(key, []))
        names |= {side.strip() for one in contract.get("ignore_imports", []) for side in one.split("->")}
    assert missing(name for name in names if name.split(".")[0] in ROOMS) == []


def test_commands_and_the_wheel_are_of_what_is_there():
    assert missing(PYPROJECT["project"]["scripts"].values()) == []
    assert missing(PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == []


def test_the_image_is_made_of_what_is_there_and_starts_what_is_there():
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [path for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.MULTILINE) for path in line.split()]
    assert len(copied) > 10
    assert [path for path in copied if not (ROOT / path).exists()] == []
    admitted = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"]
    assert [path for path in copied if path.split("/")[0] not in admitted] == []
    assert missing(":".join(found) for found in re.findall(r"from ([\w.]+) import (\w+)", text)) == []
    rooms = {path for path in copied if path in ROOMS}
    assert rooms == {*PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]}


@pytest.mark.parametrize("file", ["Makefile", "docker-compose.yml", ".ci/run", ".ci/debian-13", ".ci/redis-6-and-7"])
def test_what_is_run_as_a_module_is_there(file):
    text = (ROOT / file).read_text("utf-8")
    run = {name for name in re.findall(r"-m ([a-z_]\w*(?:\.\w+)*)", text) if name.split(".")[0] in {*ROOMS, "tests"}}
    assert missing(run) == []
    assert missing(re.findall(r"celery -A ([\w.]+)", text)) == []


DOCUMENTS = [path for path in project_files(".md") if path.name != "CHANGELOG.md" and "results" not in path.parts]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_paths_in_a_document_lead_somewhere(document):
    tops = {path.name for path in ROOT.iterdir()}
    paths = {
        path
        for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)(?:::\w+)?`", document.read_text("utf-8"))
        if path.split("/")[0] in tops and not path.startswith(MADE)
    }
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
    names = set(re.findall(r"`(?:python -m )?((?:\w+\.)+\w+)`", document.read_text("utf-8")))
    modules = {name for name in names if name.split(".")[0] in {*ROOMS, "tests"} and DOTTED.fullmatch(name)}
    files = {name for name in modules if re.search(r"\.(py|md|toml|yml|json|conf|env)$", name)}
    assert [name for name in sorted(modules - files) if not is_there(name)] == []
