"""Every public name of the library has a docstring with its parameters, what it returns and what it raises."""

import ast
import importlib
import inspect
import pkgutil

import pytest

import redis_admission

MODULES = [
    importlib.import_module(module.name)
    for module in pkgutil.walk_packages(redis_admission.__path__, "redis_admission.")
]


def public():
    """The name of each public module, class, function, method and property, and the thing."""
    for module in [redis_admission, *MODULES]:
        yield module.__name__, module
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            yield f"{module.__name__}.{name}", thing
            for member, value in vars(thing).items() if inspect.isclass(thing) else ():
                function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                if not member.startswith("_") and inspect.isfunction(function):
                    yield f"{module.__name__}.{name}.{member}", function


THINGS = dict(public())


def parameters(thing):
    names = list(inspect.signature(thing).parameters)
    return [name for name in names if name not in {"self", "cls"}]


def test_the_names_that_the_package_exports_are_there():
    assert sorted(redis_admission.__all__, key=str.lower) == sorted(set(redis_admission.__all__), key=str.lower)
    assert all(hasattr(redis_admission, name) for name in redis_admission.__all__)


@pytest.mark.parametrize("name", THINGS)
def test_it_says_what_it_is(name):
    thing = THINGS[name]
    own = thing.__dict__.get("__doc__") if inspect.isclass(thing) else thing.__doc__
    assert own
    first = own.strip().splitlines()[0]
    assert len(first.split()) > 1


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if inspect.isfunction(thing)])
def test_a_function_says_what_it_takes_returns_and_raises(name):
    function = THINGS[name]
    text = inspect.getdoc(function)
    if "Args:" in text:
        described = text.partition("Args:")[2]
        assert all(f"\n    {one}: " in described for one in parameters(function))
    else:
        # A sentence names each of a few parameters, or the sentence is all there is to say.
        assert len(parameters(function)) <= 2
    returns = inspect.signature(function).return_annotation
    if returns not in {None, "None", inspect.Signature.empty}:
        assert "eturns" in text
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    assert all(error in text for error in raised)


@pytest.mark.parametrize("name", ["Limits", "OverrideOrder", "Permit", "AdmissionController", "Rejected"])
def test_a_class_says_what_each_of_its_fields_or_parameters_is(name):
    thing = getattr(redis_admission, name)
    text = inspect.getdoc(thing)
    assert all(f"\n    {one}: " in text for one in parameters(thing))


def test_the_controller_says_what_it_raises():
    for method, error in (("enter", "Rejected"), ("set_override", "RedisError"), ("status", "RedisError")):
        text = inspect.getdoc(getattr(redis_admission.AdmissionController, method))
        assert error in text.partition("Raises:")[2]
    assert "ValueError" in inspect.getdoc(redis_admission.Limits).partition("Raises:")[2]
