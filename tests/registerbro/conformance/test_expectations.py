"""Descriptions of an interface: a field's path, and what a refusal is expected to hold."""

from registerbro.conformance.expectations import Evidence, Expected, FieldSeen, Form, Mark, Operation
from registerbro.conformance.json_shape import shape
from registerbro.upstreams.errors import BadRequest


async def nothing(_):
    return None


ITEM = Expected("item", Form.OBJECT, is_list=True, fields=(Expected("day", Form.DATE),))
OPERATION = Operation("x", nothing, Expected("", fields=(ITEM,)), shape, refusal_codes=frozenset({"1010"}))


def test_a_list_is_marked_in_the_path_of_what_is_in_it():
    assert ITEM.path_below("") == "item[]"
    assert ITEM.find("day").path_below(ITEM.path_below("ydelser")) == "ydelser.item[].day"


def test_a_field_is_found_by_its_name_and_its_namespace():
    assert OPERATION.answers(200).find("item") is ITEM
    assert OPERATION.answers(200).find("item", "urn:x") is None


def test_in_a_refusal_a_code_may_stand_anywhere():
    refusal = OPERATION.answers(404)
    assert refusal.find("fejl").find("kode").codes == {"1010"}
    assert Operation("x", nothing, Expected(""), shape).answers(404).find("fejl").codes == frozenset()


def test_an_unknown_code_is_told_and_is_no_breach():
    assert not FieldSeen("a", Mark.ASSUMED, unknown_codes={"B"}).is_wrong
    assert FieldSeen("a", Mark.ASSUMED, other_forms={"text"}).is_wrong


def test_an_error_that_names_the_status_alone_is_told_by_it_alone():
    def told(status, error):
        return Evidence(status, error, "", {}, None, None).is_told_by_status_alone

    assert told(400, BadRequest("HTTP 400"))
    assert not told(400, BadRequest("DFDG code 1014"))
    assert not told(200, None)
