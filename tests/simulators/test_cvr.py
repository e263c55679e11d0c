"""CVR's simulator: the envelope of Elasticsearch, the fields of Vrvirksomhed, and what a query can choose of them."""

import json

import pytest

from simulators.companies import COMPANIES
from tests.simulators.calls import call

VALUES = {"navn", "periode", "sidstOpdateret"}


def hits(answer):
    return answer.json()["hits"]["hits"]


def companies(answer):
    return [hit["_source"]["Vrvirksomhed"] for hit in hits(answer)]


def named(answer):
    return [(one["cvrNummer"], one["virksomhedMetadata"]["nyesteNavn"]["navn"]) for one in companies(answer)]


def query(numbers=(11111111,), **more):
    body = {"query": {"terms": {"Vrvirksomhed.cvrNummer": list(numbers)}}, **more}
    return call("cvr").but(content=json.dumps(body).encode())


def test_an_answer_has_the_whole_envelope(send):
    answer = send("cvr", query([11111111, 99999999])).json()
    assert answer.keys() == {"took", "timed_out", "_shards", "hits"}
    assert answer["timed_out"] is False
    assert answer["_shards"] == {"total": 6, "successful": 6, "skipped": 0, "failed": 0}
    assert answer["hits"].keys() == {"total", "max_score", "hits"}
    assert answer["hits"]["total"] == 1
    (hit,) = answer["hits"]["hits"]
    assert hit.keys() == {"_index", "_type", "_id", "_score", "_source"}
    assert hit["_source"].keys() == {"Vrvirksomhed"}


def test_a_document_has_the_fields_of_a_name(send):
    (company,) = companies(send("cvr", query()))
    assert (company["cvrNummer"], company["fejlRegistreret"], company["reklamebeskyttet"]) == (11111111, False, False)
    about = company["virksomhedMetadata"]
    assert about["nyesteNavn"] == company["navne"][-1]
    assert about["nyesteNavn"].keys() == VALUES
    assert about["nyesteNavn"]["navn"] == "Føtex Ærøskøbing"
    assert about["nyesteNavn"]["periode"] == {"gyldigFra": "2010-01-01", "gyldigTil": None}
    assert about["nyesteVirksomhedsform"]["virksomhedsformkode"] == 60
    assert about["sammensatStatus"] == "NORMAL"
    assert [name["periode"]["gyldigTil"] for name in company["navne"]] == ["2009-12-31", None]


def test_a_number_is_an_integer_and_loses_its_nought(send):
    assert named(send("cvr", query([7000001]))) == [(7000001, "Nul Først ApS")]


def test_a_sole_proprietor_is_named_after_a_person(send):
    (company,) = companies(send("cvr", query([70000010])))
    assert company["virksomhedMetadata"]["nyesteVirksomhedsform"]["virksomhedsformkode"] == 10
    assert company["virksomhedMetadata"]["nyesteNavn"]["navn"] == "Yrsa Enkeltmand"


def test_a_dissolved_company_keeps_its_name(send):
    (company,) = companies(send("cvr", query([70000011])))
    assert company["virksomhedMetadata"]["sammensatStatus"] == "OPLØST"
    assert company["virksomhedMetadata"]["nyesteNavn"]["navn"] == "Den Lukkede Butik ApS"


def test_a_document_can_be_a_mistake_beside_the_right_one_and_alone(send):
    found = [
        (one["cvrNummer"], one["fejlRegistreret"], one["virksomhedMetadata"]["nyesteNavn"]["navn"])
        for one in companies(send("cvr", query([70000012, 70000013])))
    ]
    assert found == [
        (70000012, False, "Rigtigt Registreret ApS"),
        (70000012, True, "Fejlregistreret ApS"),
        (70000013, True, "Aldrig Til ApS"),
    ]


def test_every_document_has_an_id_of_its_own(send):
    found = hits(send("cvr", query(map(int, COMPANIES), size=1000)))
    assert len({hit["_id"] for hit in found}) == len(found) == len(COMPANIES) + 1


@pytest.mark.parametrize(("size", "found"), [({}, 10), ({"size": 40}, 40), ({"size": 3}, 3), ({"size": 0}, 0)])
def test_there_are_ten_hits_unless_a_query_asks_for_more(send, size, found):
    answer = send("cvr", query(range(60000001, 60000041), **size))
    assert (len(hits(answer)), answer.json()["hits"]["total"]) == (found, 40)


@pytest.mark.parametrize("size", [-1, 10_001])
def test_a_size_that_the_index_does_not_give_is_refused(control, send, size):
    assert send("cvr", query(size=size)).status_code == 400
    assert control.calls("cvr").calls[-1].broke_contract


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (["Vrvirksomhed.cvrNummer"], {"Vrvirksomhed": {"cvrNummer": 11111111}}),
        ("Vrvirksomhed.cvrNummer", {"Vrvirksomhed": {"cvrNummer": 11111111}}),
        (
            ["Vrvirksomhed.cvrNummer", "Vrvirksomhed.virksomhedMetadata.nyesteNavn.navn"],
            {
                "Vrvirksomhed": {
                    "cvrNummer": 11111111,
                    "virksomhedMetadata": {"nyesteNavn": {"navn": "Føtex Ærøskøbing"}},
                }
            },
        ),
        (
            ["Vrvirksomhed.navne.navn"],
            {"Vrvirksomhed": {"navne": [{"navn": "Føtex Ærøskøbing (før)"}, {"navn": "Føtex Ærøskøbing"}]}},
        ),
        (["Vrvirksomhed.*.sammensatStatus"], {"Vrvirksomhed": {"virksomhedMetadata": {"sammensatStatus": "NORMAL"}}}),
        (
            {"includes": ["Vrvirksomhed.virksomhedMetadata"], "excludes": ["*.nyeste*"]},
            {"Vrvirksomhed": {"virksomhedMetadata": {"sammensatStatus": "NORMAL"}}},
        ),
        (["other"], {}),
    ],
)
def test_a_query_chooses_the_fields_that_it_wants(send, source, found):
    (hit,) = hits(send("cvr", query(_source=source)))
    assert hit["_source"] == found


def test_a_period_without_an_end_is_null_and_stays_when_it_is_chosen(send):
    (company,) = companies(send("cvr", query(_source=["Vrvirksomhed.virksomhedMetadata.nyesteNavn.periode"])))
    assert company == {
        "virksomhedMetadata": {"nyesteNavn": {"periode": {"gyldigFra": "2010-01-01", "gyldigTil": None}}}
    }


def test_a_query_can_want_no_fields_or_all(send):
    assert all("_source" not in hit for hit in hits(send("cvr", query(_source=False))))
    assert companies(send("cvr", query(_source=True))) == companies(send("cvr", query()))


@pytest.mark.parametrize(
    ("fault", "timed_out", "failed"),
    [({}, False, 1), ({"how": "failed_shards"}, False, 1), ({"how": "timed_out"}, True, 0)],
)
def test_a_partial_answer_has_status_200_and_half_of_the_hits(control, send, fault, timed_out, failed):
    control.fault("cvr", {"kind": "partial", **fault})
    answer = send("cvr", query([11111111, 22222222]))
    assert (answer.status_code, answer.json()["timed_out"]) == (200, timed_out)
    shards = answer.json()["_shards"]
    assert (shards["failed"], shards["successful"]) == (failed, shards["total"] - failed)
    assert named(answer) == [(11111111, "Føtex Ærøskøbing")]
