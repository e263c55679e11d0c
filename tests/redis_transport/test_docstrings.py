"""The documentation in the code: every public name says what it is, takes, returns and raises."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator

import pytest

import redis_transport
from redis_transport import options

MODULES = [
    "redis_transport",
    *(f"redis_transport.{module.name}" for module in pkgutil.iter_modules(redis_transport.__path__)),
]


def public_things() -> Iterator[tuple[str, object]]:
    """Classes and functions of the library, and the functions of the classes, by their full names."""
    for module in map(importlib.import_module, MODULES):
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing):
                for attribute, value in vars(thing).items():
                    function = getattr(value, "__func__", getattr(value, "fget", value))
                    if not attribute.startswith("_") and inspect.isfunction(function):
                        yield (
                            f"{module.__name__}.{name}.{attribute}",
                            value if isinstance(value, property) else function,
                        )


THINGS = dict(public_things())
FUNCTIONS = {name: thing for name, thing in THINGS.items() if inspect.isfunction(thing)}


def section(thing: object, title: str) -> str:
    """The lines under a title of a docstring, up to the next title or the end; empty without such a title."""
    found = re.search(rf"^{title}:\n((?:(?:    .*)?\n?)*)", inspect.getdoc(thing) or "", re.MULTILINE)
    return found[1] if found else ""


def raised_in(node: ast.AST) -> set[str]:
    """The names of the errors that the code raises itself, but for what it defines."""
    names = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Raise) and child.exc is not None:
            names.add(ast.unparse(child.exc.func if isinstance(child.exc, ast.Call) else child.exc))
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.Lambda):
            names |= raised_in(child)
    return names


def parameters(function: object) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in {"self", "cls"}]


@pytest.mark.parametrize("name", MODULES)
def test_each_module_says_what_it_is(name: str) -> None:
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", THINGS)
def test_each_public_name_says_what_it_is(name: str) -> None:
    assert THINGS[name].__doc__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_names_its_parameters(name: str) -> None:
    told = re.findall(r"^    (\w+): ", section(FUNCTIONS[name], "Args"), re.MULTILINE)
    assert told == parameters(FUNCTIONS[name])


@pytest.mark.parametrize(
    "name", [name for name, thing in THINGS.items() if inspect.isclass(thing) and "__init__" in vars(thing)]
)
def test_each_class_names_the_parameters_that_it_is_made_with(name: str) -> None:
    thing = THINGS[name]
    own = vars(thing).get("__init__")
    named = section(thing, "Args") + section(thing, "Attributes")
    assert {parameter for parameter in parameters(own) if parameter not in {"args", "kwargs"}} <= set(
        re.findall(r"^    (\w+): ", named, re.MULTILINE)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_that_returns_anything_says_what(name: str) -> None:
    returns = inspect.signature(FUNCTIONS[name]).return_annotation not in {None, "None"}
    assert bool(section(FUNCTIONS[name], "Returns")) == returns


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_that_raises_says_so(name: str) -> None:
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(FUNCTIONS[name]))).body
    told = section(FUNCTIONS[name], "Raises")
    assert {error for error in raised_in(function) if error not in told} == set()


@pytest.mark.parametrize("name", [name for name in vars(options) if name.isupper()])
def test_each_option_says_what_it_is_and_in_which_unit(name: str) -> None:
    lines = inspect.getsource(options).splitlines()
    (number,) = [number for number, line in enumerate(lines) if line.startswith(f"{name} = ")]
    assert lines[number + 1].startswith('"""')


def test_the_library_without_its_celery_step_needs_no_celery() -> None:
    import subprocess
    import sys

    modules = [name for name in MODULES if not name.endswith(".celery_worker")]
    code = f"import {', '.join(modules)}, sys; sys.exit('celery' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
