"""Paths as lxml has them, and elements as nodes."""

from lxml import etree

from registerbro.conformance.expectations import Expected, Form, Mark
from registerbro.conformance.xml_shape import along, node, steps

A, B = "http://a/b/", "http://c/"


def test_a_path_may_be_in_pieces_and_its_namespaces_have_slashes():
    assert steps(f"{{{A}}}X/{{{B}}}Y", "Z") == [(A, "X"), (B, "Y"), ("", "Z")]


def test_what_is_on_the_way_is_made_once_and_stays_where_it_is():
    root = Expected("", Form.OBJECT)
    root = along(root, f"{{{A}}}X", is_required=False, mark=Mark.PUBLISHED, form=Form.OBJECT)
    root = along(root, f"{{{A}}}W", is_required=True, mark=Mark.PUBLISHED, form=Form.TEXT)
    root = along(root, f"{{{A}}}X/{{{B}}}Y/{{{B}}}Z", is_required=True, mark=Mark.LIKELY, form=Form.DATE)
    x, w = root.fields
    (y,) = x.fields
    assert (x.name, x.is_required, w.name) == ("X", False, "W")
    assert (y.name, y.namespace, y.is_required, y.mark, y.form) == ("Y", B, True, "L", "object")
    assert [(one.name, one.form) for one in y.fields] == [("Z", "date")]


def test_an_element_is_its_text_or_its_elements():
    root = node(etree.fromstring(f'<x xmlns="{A}" a="1"> <y> 1 </y><!-- c --><z/></x>'))
    assert (root.name, root.namespace, root.form) == ("x", A, "object")
    assert [(one.name, one.form, one.text) for one in root.parts] == [("y", "text", "1"), ("z", "text", "")]
