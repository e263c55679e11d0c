"""XML shape: makes nodes of elements, and expectations of the paths that a parser follows."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lxml import etree
from lxml.etree import _Element as Element

from registerbro.conformance.expectations import Expected, Form, Node

_STEP = re.compile(r"(?:\{([^}]*)\})?([^/{}]+)/?")
"""A step of a path as lxml has it: a namespace with slashes of its own, and a name."""


def steps(*path: str) -> list[tuple[str, str]]:
    """The namespaces and names along a path, which may be given in pieces."""
    return [(namespace or "", name) for piece in path for namespace, name in _STEP.findall(piece)]


def along(root: Expected, *path: str, **more: Any) -> Expected:  # noqa: ANN401 - the fields of Expected
    """`root` with the element at the end of this path, of the form that `more` gives it.

    Elements on the way that `root` does not have are made, as `more` has them: an element is as required, and as
    certain, as what stands in it.
    """
    return _along(root, steps(*path), more)


def _along(root: Expected, path: list[tuple[str, str]], more: dict[str, Any]) -> Expected:
    if not path:
        return replace(root, **more)
    (namespace, name), rest = path[0], path[1:]
    found = root.find(name, namespace)
    common = {key: more[key] for key in ("mark", "is_required") if key in more}
    inner = found or Expected(name, Form.OBJECT, namespace=namespace, **common)
    made = _along(inner, rest, more)
    if found is None:
        return replace(root, fields=(*root.fields, made))
    return replace(root, fields=tuple(made if one is found else one for one in root.fields))


def node(element: Element) -> Node:
    """The node of an element; attributes are left out, as the contract ignores them."""
    namespace, _, name = str(element.tag).rpartition("}")
    parts = tuple(_children(element))
    text = "" if parts else (element.text or "").strip()
    return Node(name, Form.OBJECT if parts else Form.TEXT, text, parts, namespace.removeprefix("{"))


def _children(element: Element) -> Iterator[Node]:
    return map(node, element.iterchildren(etree.Element))
