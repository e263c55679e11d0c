"""Hostile answers of eIndkomst, each of which may be signed by the gateway: what is there is put into a good envelope.

What verifying a Body costs is the same whether its digest holds or not. It holds where the answer is one of the
contract, and is a digest of nothing elsewhere.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from config.settings import EindkomstSettings
from registerbro.upstreams.answer_parsing import LONGEST_READ_AT_ONCE
from registerbro.upstreams.xml_extent import NODES
from tests.registerbro.upstreams.signing import (
    DIGESTS,
    DS,
    EXCLUSIVE,
    METHODS,
    SOAP,
    WSSE,
    WSU,
    X509V3,
    Signer,
    canonical,
)
from tests.system.hostile.cases import (
    FORMS,
    INVALID,
    OK,
    PLAIN,
    PLAIN_VERIFIED,
    SIGNED,
    SIGNED_VERIFIED,
    TOO_LONG,
    Case,
    head,
)
from tests.workers.eindkomst import answers

MAX_BODY = EindkomstSettings().max_body
ROOM = MAX_BODY - 20_000
ON_THE_LOOP = LONGEST_READ_AT_ONCE - 8_000
"""Below what is read in a thread, with a header beside it."""
XML = "text/xml; charset=utf-8"
EXTRA = {"wsse": WSSE[1:-1], "wsu": WSU[1:-1], "ds": DS[1:-1]}
TRANSFORM = f'<ds:Transform Algorithm="{EXCLUSIVE}"/>'

Text = Callable[[], str]


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class Places:
    """What stands where, as text; `whole` is all of the document, in the place of an envelope."""

    before: Text = _nothing
    envelope: Text = _nothing
    header: Text = _nothing
    security: Text = _nothing
    token: Text | None = None
    timestamp: Text = _nothing
    info: Text = _nothing
    transforms: Text = lambda: TRANSFORM
    method: Text = _nothing
    value: Text | None = None
    digest: Text | None = None
    key_info: Text = _nothing
    signature: Text = _nothing
    body_tag: Text = _nothing
    body: Text = lambda: _GOOD
    after: Text = _nothing
    whole: Text | None = None
    sealed: bool = False


def _inner(answer: bytes) -> str:
    """What an answer's Body holds."""
    return answer.decode().partition("<soap:Body>")[2].partition("</soap:Body>")[0]


_REPORTED = answers.report(answers.wages())
_GOOD = _inner(answers.about(answers.company(_REPORTED)))


def written(places: Places, signer: Signer | None) -> bytes:
    """The document, signed when there is a signer."""
    if places.whole is not None:
        return places.whole().encode("utf-8", "surrogatepass")
    body = places.body()
    if signer is None:
        return _document(places, body, "")
    now = datetime.now(UTC)
    digests = {"body": _digest(_BODY_FOR_NOW), "timestamp": _digest(_BODY_FOR_NOW)}
    stub = replace(places, before=_nothing, after=_nothing, envelope=_nothing, header=_nothing, body_tag=_nothing)
    value = ""
    for _ in range(2):
        # First without, so that there is something to canonicalise, and then with what that says.
        header = _security(places, signer, now, digests, value)
        if (parsed := _parsed(_document(stub, "", header))) is not None:
            security = parsed.find(f"{SOAP}Header/{WSSE}Security")
            digests["timestamp"] = _digest(canonical(security.find(f"{WSU}Timestamp")))
        if places.sealed and (whole := _parsed(_document(places, body, header))) is not None:
            digests["body"] = _digest(canonical(whole.find(f"{SOAP}Body")))
    header = _security(places, signer, now, digests, value)
    if (parsed := _parsed(_document(stub, "", header))) is not None:
        info = parsed.find(f"{SOAP}Header/{WSSE}Security/{DS}Signature/{DS}SignedInfo")
        value = b64encode(signer.sign(canonical(info, _prefixes(info)), "sha256")).decode()
    return _document(places, body, _security(places, signer, now, digests, value))


_BODY_FOR_NOW = b"another body"


def _prefixes(info: etree._Element) -> list[str]:
    return [prefix for child in info[0] for prefix in child.get("PrefixList", "").split()][:20]


def _digest(of: bytes) -> str:
    return b64encode(hashlib.sha256(of).digest()).decode()


def _parsed(document: bytes) -> etree._Element | None:
    try:
        return etree.fromstring(document, etree.XMLParser(huge_tree=True, resolve_entities=False))
    except etree.XMLSyntaxError:
        return None


def _document(places: Places, body: str, header: str) -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in (answers.NAMESPACES | EXTRA).items())
    beside = places.header()
    within = f"<soap:Header>{beside}{header}</soap:Header>" if header or beside else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{places.before()}<soap:Envelope {declared} {places.envelope()}>{within}'
        f'<soap:Body wsu:Id="the-body" {places.body_tag()}>{body}</soap:Body></soap:Envelope>{places.after()}'
    ).encode("utf-8", "surrogatepass")


def _security(places: Places, signer: Signer, now: datetime, digests: Mapping[str, str], value: str) -> str:
    token = (
        b64encode(signer.certificate.public_bytes(Encoding.DER)).decode() if places.token is None else places.token()
    )
    told = value if places.value is None else places.value()
    references = "".join(
        f'<ds:Reference URI="#the-{name}"><ds:Transforms>{places.transforms()}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGESTS["sha256"]}"/>'
        f"<ds:DigestValue>{digest if places.digest is None else places.digest()}</ds:DigestValue></ds:Reference>"
        for name, digest in digests.items()
    )
    return (
        f'<wsse:Security>{places.security()}<wsse:BinarySecurityToken wsu:Id="the-token" ValueType="{X509V3}">{token}'
        f"</wsse:BinarySecurityToken><ds:Signature><ds:SignedInfo>"
        f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}">{places.method()}</ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{METHODS["RSA"]["sha256"]}"/>{references}{places.info()}</ds:SignedInfo>'
        f"<ds:SignatureValue>{told}</ds:SignatureValue><ds:KeyInfo><wsse:SecurityTokenReference>"
        f'<wsse:Reference URI="#the-token" ValueType="{X509V3}"/></wsse:SecurityTokenReference>{places.key_info()}'
        f"</ds:KeyInfo>{places.signature()}</ds:Signature>"
        f'<wsu:Timestamp wsu:Id="the-timestamp"><wsu:Created>{now:%Y-%m-%dT%H:%M:%SZ}</wsu:Created>'
        f"<wsu:Expires>{now + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}</wsu:Expires>{places.timestamp()}"
        "</wsu:Timestamp></wsse:Security>"
    )


@dataclass(frozen=True)
class _Maker:
    signer: Signer
    made: list[Case] = field(default_factory=list)

    def __call__(
        self,
        kind: str,
        name: str,
        plain: str,
        verified: str | None = None,
        *,
        quick: bool = False,
        unsigned: bool = False,
        signed: str | None = None,
        **places: object,
    ) -> None:
        """`plain` is the outcome where nothing is verified, and `verified` that of the signed answer where it is."""
        it = Places(**places)
        # Told before any signature is looked at.
        first = plain in {TOO_LONG, "wrong_person"} or unsigned
        expected = {
            PLAIN: plain,
            SIGNED: signed or plain,
            PLAIN_VERIFIED: plain if first else INVALID,
            SIGNED_VERIFIED: verified or (plain if first or it.sealed else INVALID),
        }

        def build(form: str) -> list[bytes]:
            return [head(XML), written(it, self.signer if form in {SIGNED, SIGNED_VERIFIED} else None)]

        self.made.append(Case(f"xml: {kind}", name, "eindkomst", build, expected, quick=quick, forms=FORMS))


def cases(signer: Signer) -> Iterator[Case]:
    """All of them, signed by the gateway that is trusted; kind after kind, since the texts of all are a gigabyte."""
    for add in (_elements, _attributes, _namespaces, _texts, _others, _documents, _contract, _signatures):
        make = _Maker(signer)
        add(make)
        yield from make.made


def good(signer: Signer) -> Case:
    """An answer with one report, which is what the others are made from."""
    make = _Maker(signer)
    make("good", "one report", OK, sealed=True)
    return make.made[0]


def _within(text: str) -> Text:
    """In the place of an answer's content."""
    return lambda: f"<e:IndkomstOplysningPersonHent_O>{text}</e:IndkomstOplysningPersonHent_O>"


def _repeated(one: str, room: int = ROOM) -> Text:
    return lambda: (
        f"<e:IndkomstOplysningPersonHent_O>{one * (room // len(one.encode()))}</e:IndkomstOplysningPersonHent_O>"
    )


SIZES = (("16 MiB", ROOM), ("0.9 MB", 960_000), ("32 KiB", ON_THE_LOOP))


def _elements(make: _Maker) -> None:
    for size, room in SIZES:
        too_long = TOO_LONG if room == ROOM else INVALID
        make("elements", f"empty elements, {size}", too_long, body=_repeated("<a/>", room), quick=room < ROOM)
        make("elements", f"elements in pairs, {size}", too_long, body=_repeated("<a></a>", room))
        make("elements", f"elements and texts, {size}", too_long, body=_repeated("<a/>x", room))
        make("elements", f"nested 200 deep, {size}", too_long, body=_repeated("<a>" * 200 + "</a>" * 200, room))
        names = "".join(f"<e:a{at}/>" for at in range(room // 13))
        make("elements", f"names, each another, {size}", too_long, body=_within(names))
    make("elements", "as deep as fits", TOO_LONG, body=_within("<a>" * (ROOM // 7) + "</a>" * (ROOM // 7)))
    make("elements", "deep, and not closed", INVALID, body=_within("<a>" * 10_000), quick=True)
    make("elements", "one long name", INVALID, body=_within(f"<{'a' * (ROOM // 2)}/>"))
    make("elements", "names of 40,000 characters", INVALID, body=_repeated(f"<{'a' * 40_000}/>"), quick=True)
    make("elements", "names of 900 characters", INVALID, body=_repeated(f"<{'a' * 900}/>"))
    make("elements", "white space in tags", INVALID, body=_repeated("<a" + " " * 1_000 + "/>"))


def _attributes(make: _Maker) -> None:
    for size, room in SIZES:
        one = " ".join(f'a{n}=""' for n in range(room // 12))
        expected = TOO_LONG if room == ROOM else INVALID
        make("attributes", f"on one element, {size}", expected, body=_within(f"<e:a {one}/>"), quick=room < ROOM)
        make("attributes", f"on the Envelope, {size}", expected, envelope=lambda one=one: one)
        make("attributes", f"on the Body, {size}", expected, body_tag=lambda one=one: one)
        each = "<b " + " ".join(f'a{n}=""' for n in range(60)) + "/>"
        make("attributes", f"60 on each element, {size}", expected, body=_repeated(each, room))
        ids = "".join(f'<a xml:id="i{at}"/>' for at in range(room // 22))
        make("attributes", f"ids, {size}", expected, body=_within(ids))
        ids = "".join(f'<a wsu:Id="i{at}"/>' for at in range(room // 22))
        make("attributes", f"ids of WS-Security, {size}", expected, body=_within(ids))
    for count in (45_000, 170_000):
        one = " ".join(f'a{n}=""' for n in range(count))
        make("attributes", f"{count} on one element", INVALID, body=_within(f"<e:a {one}/>"), quick=count == 170_000)
    spaced = " ".join(f'n{n % 20}:a{n}=""' for n in range(40_000))
    declared = " ".join(f'xmlns:n{n}="urn:{n}"' for n in range(20))
    make("attributes", "in namespaces, on one element", INVALID, body=_within(f"<e:a {declared} {spaced}/>"))
    make("attributes", "one name over and over", INVALID, body=_within("<e:a " + 'a="" ' * 100_000 + "/>"))
    make("attributes", "one long value", INVALID, body=_within(f'<e:a a="{"x" * ROOM}"/>'))
    make("attributes", "values of 9 MB", INVALID, body=_within(f'<e:a a="{"x" * 9_000_000}"/>'))
    make("attributes", "values of line ends", INVALID, body=_repeated('<e:a a="' + "\n" * 60_000 + '"/>'))
    make("attributes", "values of references", INVALID, body=_repeated('<e:a a="' + "&lt;" * 10_000 + '"/>'))
    make("attributes", "values of four bytes", INVALID, body=_repeated('<e:a a="' + "\U0001f600" * 200_000 + '"/>'))
    make("attributes", "without end", INVALID, body=_within("<e:a " + 'a="" ' * 10))


def _namespaces(make: _Maker) -> None:
    for size, room in SIZES:
        one = " ".join(f'xmlns:a{n}="u:{n}"' for n in range(room // 27))
        expected = TOO_LONG if room == ROOM else INVALID
        make("namespaces", f"on one element, {size}", expected, body=_within(f"<e:a {one}/>"), quick=room < ROOM)
        make("namespaces", f"on the Envelope, {size}", expected, envelope=lambda one=one: one)
        again = "".join(f'<a{n}:a xmlns:a{n}="u:u"/>' for n in range(room // 36))
        make("namespaces", f"a prefix for each element, {size}", expected, body=_within(again))
        again = '<a xmlns="u:u"/>'
        make("namespaces", f"the default, over and over, {size}", expected, body=_repeated(again, room))
        uris = "".join(f'<a xmlns="u:{n}"/>' for n in range(room // 24))
        make("namespaces", f"a default for each element, {size}", expected, body=_within(uris))
        nested = "".join(f'<a{n}:a xmlns:a{n}="u:{n}">' for n in range(100))
        end = "".join(f"</a{n}:a>" for n in reversed(range(100)))
        make("namespaces", f"in each other, {size}", expected, body=_repeated(nested + "<a/>" * 1_000 + end, room))
        deep = nested + "<a99:a/>" * ((room - 4_000) // 8) + end
        make("namespaces", f"elements in the last of a hundred, {size}", expected, body=_within(deep))
        deep = nested + "<a0:a/>" * ((room - 4_000) // 7) + end
        make("namespaces", f"elements in the first of a hundred, {size}", expected, body=_within(deep))
        wide = '<a0:a a1:a="" a2:a="" a3:a="" a4:a="" a5:a="" a6:a="" a7:a="" a8:a=""/>'
        deep = nested + wide * ((room - 4_000) // len(wide)) + end
        make("namespaces", f"attributes in the first of a hundred, {size}", expected, body=_within(deep))
    one = " ".join(f'xmlns:a{n}="u:{n}"' for n in range(44_000))
    make("namespaces", "44,000 on one element", INVALID, body=_within(f"<e:a {one}/>"), quick=True)
    used = " ".join(f'xmlns:a{n}="u:{n}" a{n}:a=""' for n in range(44_000))
    make("namespaces", "44,000 on one element, all used", INVALID, body=_within(f"<e:a {used}/>"))
    one = " ".join(f'xmlns:a{n}="u:{n}"' for n in range(120))
    for name, uri in (("1 KB", 1_000), ("50 KB", 50_000), ("1 MB", 1_000_000)):
        wide = f'<b xmlns:x="u:{"u" * uri}">' + "<x:a/>" * 100_000 + "</b>"
        make(
            "namespaces",
            f"one of {name}, used by 100,000 elements",
            INVALID,
            body=_within(wide),
            quick=uri == 1_000_000,
        )
        wide = f'<b xmlns:x="u:{"u" * uri}">' + '<a x:a=""/>' * 100_000 + "</b>"
        make("namespaces", f"one of {name}, used by 100,000 attributes", INVALID, body=_within(wide))
    make(
        "namespaces", "eight of 1 MB, which the signature names", INVALID,
        envelope=lambda: " ".join(f'xmlns:p{n}="u:{"u" * 1_000_000}"' for n in range(8)),
        method=lambda: f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="p0 p1 p2 p3 p4 p5 p6 p7"/>',
    )  # fmt: skip
    make(
        "namespaces", "120, and 100,000 elements", INVALID,
        body=_within(f"<e:a {one}>" + "<a119:a/>" * 100_000 + "</e:a>"), quick=True,
    )  # fmt: skip
    make(
        "namespaces", "20,000, and 100,000 elements", INVALID,
        body=_within(
            "<e:a " + " ".join(f'xmlns:a{n}="u:{n}"' for n in range(20_000)) + ">" + "<a19999:a/>" * 100_000 + "</e:a>"
        ),
    )  # fmt: skip
    nested = "".join(f'<a{n}:a xmlns:a{n}="u:{n}">' for n in range(100))
    end = "".join(f"</a{n}:a>" for n in reversed(range(100)))
    wide = '<a0:a a1:a="" a2:a="" a3:a="" a4:a="" a5:a="" a6:a="" a7:a="" a8:a=""/>'
    for name, many in (
        ("elements in the last of a hundred", "<a99:a/>" * 240_000),
        ("elements in the first of a hundred", "<a0:a/>" * 240_000),
        ("elements in a hundred by turns", "".join(f"<a{n}:a/>" for n in range(100)) * 2_400),
        ("attributes in the first of a hundred", wide * 27_000),
    ):
        make("namespaces", f"{name}, as many as are taken", INVALID, body=_within(nested + many + end), quick=True)
    for name, one, many in (("elements", "<x:a/>", 240_000), ("attributes", '<a x:a=""/>', 120_000)):
        wide = f'<b xmlns:x="u:{"u" * 3_900}">' + one * many + "</b>"
        said = f"one of 3,900 bytes, used by as many {name} as are taken"
        make("namespaces", said, INVALID, body=_within(wide), quick=name == "elements")
    make(
        "namespaces",
        "undeclared prefixes",
        INVALID,
        body=_repeated("<q:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/>", ROOM // 2),
    )
    make("namespaces", "undone", INVALID, body=_repeated('<a xmlns=""><b xmlns="u:u"/></a>', 1 << 20))


def _texts(make: _Maker) -> None:
    for name, text in {
        "of 9 MB": "x" * 9_000_000,
        "of 16 MiB": "x" * ROOM,
        "of four bytes a character": "\U0001f600" * 2_300_000,
        "of references": "&#230;" * (ROOM // 6),
        "of ampersands": "&amp;" * (ROOM // 5),
        "of characters by number": "&#x1F600;" * (ROOM // 9),
        "of line ends": "\r\n" * (ROOM // 2),
        "of white space": " " * ROOM,
        "of closing brackets": "]" * ROOM,
        "of undefined entities": "&x;" * (ROOM // 3),
        "of lesser brackets": "<" * 500_000,
        "of equal signs": "=" * ROOM,
        "of noughts by number": "&#0;" * 1_000_000,
    }.items():
        expected = TOO_LONG if name in {"of lesser brackets", "of equal signs"} else INVALID
        make("texts", name, expected, body=_within(f"<e:a>{text}</e:a>"), quick=name == "of references")
    mixed = "<e:a>\U0001f600" + "x" * (9_000_000) + "</e:a>"
    make("texts", "one character of four bytes, and 9 MB", INVALID, body=_within(mixed))
    make("texts", "cut by elements", INVALID, body=_repeated("x" * 100 + "<a/>"))
    make("texts", "in sections", INVALID, body=_repeated("<![CDATA[x" + "x" * 100 + "]]>"))
    make("texts", "in empty sections", TOO_LONG, body=_repeated("<![CDATA[]]>"))
    make("texts", "one long section", INVALID, body=_within(f"<![CDATA[{'x' * ROOM}]]>"))


def _others(make: _Maker) -> None:
    for size, room in (("16 MiB", ROOM), ("32 KiB", ON_THE_LOOP)):
        expected = TOO_LONG if room == ROOM else INVALID
        make("comments", f"empty ones, {size}", expected, body=_repeated("<!---->", room), quick=True)
        make("instructions", f"short ones, {size}", expected, body=_repeated("<?a?>", room), quick=room < ROOM)
    make("comments", "one long one", INVALID, body=_within(f"<!--{'x' * ROOM}-->"))
    make("comments", "before the Envelope", TOO_LONG, before=lambda: "<!---->" * (2 * (ROOM // 20)))
    make("comments", "behind the Envelope", TOO_LONG, after=lambda: "<!---->" * (2 * (ROOM // 20)))
    make("comments", "with elements in them", INVALID, body=_repeated("<!--" + "<a>" * 10 + "-->", 1 << 19))
    make("comments", "not closed", INVALID, body=_within("<!--" + "x-" * 1_000_000))
    make("instructions", "one long one", INVALID, body=_within(f"<?a {'x' * ROOM}?>"))
    make("instructions", "before the Envelope", TOO_LONG, before=lambda: "<?a?>" * (ROOM // 10))
    make(
        "instructions",
        "a thousand style sheets",
        INVALID,
        before=lambda: '<?xml-stylesheet href="file:///dev/zero"?>' * 1000,
        body=_within("<a/>"),
    )


def _documents(make: _Maker) -> None:
    laughs = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    ends = "</soap:Envelope>"
    for name, text in {
        "a billion laughs": f'<!DOCTYPE a [<!ENTITY a0 "ha">{laughs}]><a>&a9;</a>',
        "quadratic entities": f'<!DOCTYPE a [<!ENTITY a "{"x" * 100_000}">]><a>{"&a;" * 100_000}</a>',
        "entities of parameters": "<!DOCTYPE a [<!ENTITY % a \"<!ENTITY &#37; b '%a;'>\">%a;%b;]><a/>",
        "an entity of a file": '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///dev/zero">]><a>&a;</a>',
        "attributes by default": "<!DOCTYPE a [<!ATTLIST b "
        + " ".join(f'a{n} CDATA "x"' for n in range(10_000))
        + ">]><a>"
        + "<b/>" * 100_000
        + "</a>",
        "a content model": "<!DOCTYPE a [<!ELEMENT a " + "(" * 100_000 + "b" + ")?" * 100_000 + ">]><a/>",
        "nothing": "",
        "white space": " " * ROOM,
        "a text": "x" * ROOM,
        "brackets": "<" * ROOM,
        "noughts": "\0" * ROOM,
        "JSON": '{"a":' * 1_000_000,
        "another root": "<a>" + "<b/>" * 100_000 + "</a>",
        "another declaration": '<?xml version="1.0" encoding="UTF-16"?><a/>',
        "a long declaration": '<?xml version="1.0" ' + " " * 5_000_000 + "?><a/>",
        "two roots": "<a/>" * 100_000,
        "a byte order mark": "\ufeff<a/>",
        "half of a pair": "<a>\ud800</a>",
    }.items():
        too_long = name == "brackets"
        make("documents", name, TOO_LONG if too_long else INVALID, whole=lambda text=text: text, quick="laughs" in name)
    make("documents", "text behind the Envelope", INVALID, after=lambda: "x" * ROOM)
    make("documents", "an end too many", INVALID, after=lambda: ends * 100_000)
    make("documents", "an ending that is not there", INVALID, body=_within("<a>"))
    make("documents", "more than fits", TOO_LONG, body=_within("<a>" + "x" * (MAX_BODY + 100) + "</a>"))


def _contract(make: _Maker) -> None:
    number = "c:PersonCivilRegistrationIdentifier"
    digits = answers.CPR.digits
    other = answers.OTHER_CPR.digits
    make("contract", "numbers within numbers", INVALID, body=_within(
        f"<{number}>" * 200 + "<a>x</a>" * 50_000 + f"</{number}>" * 200), quick=True)  # fmt: skip
    make("contract", "numbers within numbers around 9 MB", INVALID, body=_within(
        f"<{number}>" * 200 + "x" * 9_000_000 + f"</{number}>" * 200), quick=True)  # fmt: skip
    make("contract", "a number of 9 MB", INVALID, body=_within(f"<{number}>{'1' * 9_000_000}</{number}>"))
    make(
        "contract", "a number in white space", INVALID, body=_within(f"<{number}>{' ' * 9_000_000}{digits}</{number}>")
    )
    make("contract", "a number in pieces", INVALID, body=_within(f"<{number}>{'<a/>' * 200_000}{digits}</{number}>"))
    make(
        "contract",
        "a number of four bytes a character",
        INVALID,
        body=_within(f"<{number}>{chr(128512) * 2_300_000}</{number}>"),
    )
    make("contract", "numbers of another", "wrong_person", body=_repeated(f"<{number}>{other}</{number}>"), quick=True)
    make("contract", "numbers of nobody", TOO_LONG, body=_repeated(f"<{number}>1</{number}>"))
    faulty = f"<soap:Fault><faultcode>soap:Client</faultcode>{'<a>x</a>' * 200_000}</soap:Fault>"
    make("contract", "a Fault of many elements", "bad_request", unsigned=True, body=lambda faulty=faulty: faulty)
    faulty = f"<soap:Fault><faultcode>{'soap:Client.' * 700_000}</faultcode></soap:Fault>"
    make("contract", "a Fault of a long code", "bad_request", unsigned=True, body=lambda faulty=faulty: faulty)
    good = answers.persons(answers.person(answers.company(_REPORTED)))
    room = ROOM - 10_000
    for name, expected, content in (
        ("notices", OK, lambda: answers.outcome(answers.notice("1") * 80_000) + good),
        ("errors", "bad_request", lambda: answers.outcome(answers.error("999") * 80_000)),
        ("reports", OK, lambda: _reports([_REPORTED] * (room // len(_REPORTED)))),
        ("short reports", OK, _short_reports),
        ("reports, each another", OK, _different_reports),
        ("reversals", OK, lambda: _reports([_REPORTED, *[_REVERSED] * (room // len(_REVERSED) - 10)])),
        ("unreadable reports", OK, lambda: _reports([_REPORTED, _UNREADABLE * 240_000])),
        ("companies", OK, _companies),
        ("fields of one form", OK, _many_fields),
        ("forms of one report", OK, lambda: _reports([answers.report(*[answers.wages()] * 9_000)])),
        ("long ids", OK, lambda: _reports([answers.report(answers.wages(), own_id=chr(128512) * 2_000_000)])),
        ("long durations", OK, lambda: _reports([_REPORTED, answers.report(answers.wages(), start="2022-01-01", end=None, duration="P" + "9" * 1_000_000 + "D")])),  # noqa: E501
        ("years of durations", OK, lambda: _reports([answers.report(answers.wages(), start="2022-01-01", end=None, duration="P1D") , answers.report(answers.wages(), start="2022-01-01", end=None, duration="P999999Y")])),  # noqa: E501
        ("days of the year 0", OK, lambda: _reports([_REPORTED, answers.report(answers.wages(), start="0000-01-01")])),
        ("kinds of income of many digits", OK, lambda: _reports([_REPORTED, answers.report(answers.wages(income_type="9" * 1_000_000))])),  # noqa: E501
    ):  # fmt: skip

        def body(content: Text = content) -> str:
            inner = content()
            told = inner if inner.startswith("<k:") else answers.outcome() + inner
            return f"<e:IndkomstOplysningPersonHent_O>{told}</e:IndkomstOplysningPersonHent_O>"

        make("contract", name, expected, body=body, sealed=True, quick=name in {"unreadable reports", "long ids"})


_REVERSED = answers.report(answers.wages(kind="T"))
_UNREADABLE = "<e:LoenPeriodeOplysningStruktur/>"


def _reports(reports: list[str]) -> str:
    return answers.persons(answers.person(answers.company(*reports)))


def _companies() -> str:
    one = len(answers.company(_REPORTED))
    numbers = range(10_000_000, 10_000_000 + (ROOM - 10_000) // one)
    return answers.persons(answers.person(*(answers.company(_REPORTED, se=str(number)) for number in numbers)))


def _short_reports() -> str:
    """With prefixes of one character, declared once, and nothing in a report that is not read."""
    names = answers.NAMESPACES
    declared = " ".join(
        f'xmlns:{short}="{names[name]}"'
        for short, name in zip(
            "abdfgx", ("angivelse", "blanket", "blanketfelt", "angivelsefelt", "x06", "x0704"), strict=True
        )
    )

    def told(number: str, text: str) -> str:
        return (
            "<e:AngivelseFeltIndholdStruktur><e:BlanketFeltEnhedStruktur>"
            f"<d:BlanketFeltNummerIdentifikator>{number}</d:BlanketFeltNummerIdentifikator></e:BlanketFeltEnhedStruktur>"
            f"<f:AngivelseFeltIndholdTekst>{text}</f:AngivelseFeltIndholdTekst></e:AngivelseFeltIndholdStruktur>"
        )

    one = (
        "<e:LoenPeriodeOplysningStruktur>"
        "<a:AngivelseVirksomhedEgenIdentifikator>#</a:AngivelseVirksomhedEgenIdentifikator>"
        "<e:AngivelsePeriodeStruktur><a:AngivelsePeriode><g:StartDate>2022-01-01</g:StartDate></a:AngivelsePeriode>"
        "</e:AngivelsePeriodeStruktur><e:AngivelseBlanketIndholdStruktur><e:AngivelseOplysningSamling>"
        "<e:AngivelseNiveau1><b:BlanketNummerIdentifikator>11000</b:BlanketNummerIdentifikator><e:AngivelseFeltSamling>"
        f"{told(answers.KIND, 'I')}{told(answers.INCOME_TYPE, '0')}</e:AngivelseFeltSamling></e:AngivelseNiveau1>"
        "</e:AngivelseOplysningSamling></e:AngivelseBlanketIndholdStruktur></e:LoenPeriodeOplysningStruktur>"
    )
    count = min((ROOM - 10_000) // (len(one) + 5), (NODES - 100) // one.count("</"))
    many = "".join(one.replace("#", str(at)) for at in range(count))
    return _reports([many]).replace("<e:IndkomstPersonUddata>", f"<e:IndkomstPersonUddata {declared}>")


def _different_reports() -> str:
    days = [f"{1990 + at % 35}-{at % 12 + 1:02}-{at % 27 + 1:02}" for at in range(2_000)]
    count = (ROOM - 10_000) // (len(_REPORTED) + 10)
    return _reports(
        [
            answers.report(
                answers.wages(income_type=str(100_000 + at)), own_id=str(at), start=days[at % 2_000], end=None
            )
            for at in range(count)
        ]
    )


def _many_fields() -> str:
    form = answers.wages()
    more = {f"2{at:017}": "1" for at in range(40_000)}
    return _reports([answers.report(replace(form, fields=form.fields | more))])


def _signatures(make: _Maker) -> None:
    """In what signs, and not in what is signed. Where nothing is verified, nothing of it is read."""
    method = f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="{{}}"/>'
    certificate = "<ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data>"
    reference = (
        f'<ds:Reference URI="#the-body"><ds:Transforms>{TRANSFORM}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGESTS["sha256"]}"/><ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>'
    )
    numbers = "<ds:Modulus>{}</ds:Modulus><ds:Exponent>{}</ds:Exponent>"
    key = f"<ds:KeyValue><ds:RSAKeyValue>{numbers}</ds:RSAKeyValue></ds:KeyValue>"
    many_namespaces = " ".join(f'xmlns:a{n}="u:{n}"' for n in range(44_000))
    xslt = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/></ds:Transform>'  # noqa: E501
    xpath = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>count(//. | //@* | //namespace::*)</ds:XPath></ds:Transform>'  # noqa: E501
    for name, places in {
        "20,000 references": {"info": lambda: reference * 20_000},
        "50,000 transforms": {"transforms": lambda: TRANSFORM * 50_000},
        "a transform of XSLT": {"transforms": lambda: xslt},
        "a transform of XPath": {"transforms": lambda: xpath},
        "10,000 certificates": {"key_info": lambda: certificate * 10_000},
        "a key of ten million digits": {"key_info": lambda: key.format("A" * 9_000_000, "AQAB")},
        "an exponent of ten million digits": {"key_info": lambda: key.format("A" * 300, "A" * 9_000_000)},
        "five million prefixes": {"method": lambda: method.format("ab " * 3_300_000)},
        "prefixes in a transform": {
            "transforms": lambda: TRANSFORM.replace("/>", ">" + method.format("ab " * 1_500_000) + "</ds:Transform>")
        },
        "50,000 lists of prefixes": {"method": lambda: method.format("") * 50_000},
        "a value of 9 MB": {"value": lambda: "A" * 9_000_000},
        "a value of white space": {"value": lambda: "\n" * 9_000_000},
        "digests of 4 MB": {"digest": lambda: "A" * 4_000_000},
        "a token of 9 MB": {"token": lambda: "A" * 9_000_000},
        "a token of white space": {"token": lambda: " " * 9_000_000},
        "a token of nested sequences": {"token": lambda: b64encode(_nested_der()).decode()},
        "60,000 tokens": {"security": lambda: '<wsse:BinarySecurityToken>AAAA</wsse:BinarySecurityToken>' * 60_000},
        "60,000 signatures": {"security": lambda: "<ds:Signature/>" * 60_000},
        "signatures in each other": {"security": lambda: "<ds:Signature>" * 200 + "</ds:Signature>" * 200},
        "objects in the signature": {"signature": lambda: f"<ds:Object>{'<a/>' * 100_000}</ds:Object>"},
        "60,000 times": {"timestamp": lambda: "<wsu:Created>2026-01-01T00:00:00Z</wsu:Created>" * 60_000},
        "a time of 9 MB": {"timestamp": lambda: f"<wsu:Created>{'1' * 9_000_000}</wsu:Created>"},
        "60,000 headers": {"header": lambda: "<wsse:Security/>" * 60_000},
        "elements in SignedInfo": {"info": lambda: "<a/>" * 100_000},
        "attributes on a header": {"header": lambda: "<a " + " ".join(f'a{n}=""' for n in range(45_000)) + "/>"},
        "namespaces on a header": {"header": lambda: f"<a {many_namespaces}/>"},
        "100,000 ids": {"header": lambda: "".join(f'<a Id="i{n}"/>' for n in range(100_000))},
    }.items():  # fmt: skip
        # A header of WS-Security is there when there is a signature, another one always.
        refused = name in {"attributes on a header", "namespaces on a header"}
        long_value = name in {"five million prefixes", "prefixes in a transform"}
        make("signatures", name, INVALID if refused else OK, INVALID, signed=INVALID if long_value else None,
             quick=name in {"five million prefixes", "a token of 9 MB", "20,000 references"}, **places)  # fmt: skip


def _nested_der() -> bytes:
    """Sequences in sequences, as a certificate begins."""
    inner = b""
    for _ in range(5_000):
        length = len(inner)
        size = bytes([length]) if length < 128 else b"\x83" + length.to_bytes(3, "big")
        inner = b"\x30" + size + inner
    return inner
