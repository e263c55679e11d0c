"""The contract of IndkomstOplysningPersonHent as schemas, and what a message has against it.

There are two: the one in this folder (`published.xsd`), which every machine has, and the register's own, where somebody
laid it beside the project. `test_schema.py` proves that they judge alike.
"""

import copy
import re
from functools import cache
from pathlib import Path

from lxml import etree

HERE = Path(__file__).resolve().parent
RESTATED = HERE / "published.xsd"
PUBLISHED = HERE.parents[3] / "shared" / "upstreams" / "eindkomst-xsd" / "skat_dk" / "eindkomst" / "Hent.xsd"

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
EINDKOMST = "http://rep.oio.dk/skat.dk/eindkomst/"
CPR = "http://rep.oio.dk/cpr.dk/xml/schemas/core/2005/03/18/"

REQUEST = f"{{{EINDKOMST}}}IndkomstOplysningPersonHent_I"
ANSWER = f"{{{EINDKOMST}}}IndkomstOplysningPersonHent_O"

UNKNOWN_PERSON = "0000000000"
_CONSTRUCTED = re.compile(r"(6[1-9]|[78][0-9]|9[01])[0-9]{8}")


@cache
def restated() -> etree.XMLSchema:
    """The schema of this project."""
    return etree.XMLSchema(etree.parse(RESTATED))


@cache
def published() -> etree.XMLSchema | None:
    """The register's own schema, or None on a machine that does not have it."""
    return etree.XMLSchema(etree.parse(PUBLISHED)) if PUBLISHED.exists() else None


def schemas() -> list[etree.XMLSchema]:
    """Every schema that this machine has."""
    register = published()
    return [restated()] if register is None else [restated(), register]


def problems(message: bytes, schema: etree.XMLSchema) -> list[str]:
    """What `schema` has against `message`, a whole SOAP 1.1 envelope or the content of its Body alone; [] for nothing.

    A constructed CPR number (day 61–91), which the published pattern excludes, is judged as `0000000000`. A schema
    takes any element that it declares for a document's outermost; only the operation's request and answer are taken
    here.
    The texts are the schema's, hold contents, and are for tests alone.
    """
    try:
        outermost = etree.fromstring(
            message, etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True)
        )
    except etree.XMLSyntaxError as error:
        return [f"not XML: {error}"]
    content = outermost
    if outermost.tag == f"{{{SOAP}}}Envelope":
        bodies = outermost.findall(f"{{{SOAP}}}Body")
        if len(bodies) != 1:
            return [f"the envelope has {len(bodies)} Body elements"]
        children = list(bodies[0].iterchildren(tag=etree.Element))
        if len(children) != 1:
            return [f"the Body has {len(children)} elements"]
        content = children[0]
    if content.tag not in {REQUEST, ANSWER}:
        return [f"{content.tag} is neither the operation's request nor its answer"]
    content = copy.deepcopy(content)
    for number in content.iter(f"{{{CPR}}}PersonCivilRegistrationIdentifier"):
        if _CONSTRUCTED.fullmatch(number.text or ""):
            number.text = UNKNOWN_PERSON
    if schema.validate(etree.ElementTree(content)):
        return []
    return [f"line {entry.line}: {entry.message}" for entry in schema.error_log] or ["refused without a word"]
