"""Constructed companies in CVR: every form of name, number and registration that the rules tell apart."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Company:
    """A company in CVR, as its newest `name`; `form` is its virksomhedsformkode and `status` the sammensatStatus.

    A number may have a document that was registered by `mistake`, beside the right one, or alone when `name` is None.
    """

    name: str | None
    form: int = 80
    status: str = "NORMAL"
    mistake: str | None = None


SOLE_PROPRIETORSHIP = 10
"""The virksomhedsformkode of an enkeltmandsvirksomhed, which is named after a person."""
STOCK_COMPANY = 60

COMPANIES: Mapping[str, Company] = {
    "11111111": Company("Føtex Ærøskøbing", STOCK_COMPANY),
    "22222222": Company("Bageriet på Hjørnet ApS"),
    "33333333": Company("<script>alert('job')</script> & Sønner"),
    "44444444": Company("Nordjysk Rengøring A/S", STOCK_COMPANY),
    "55555555": Company("Ålborg Havn"),
    "66666666": Company("Kæden A/S", STOCK_COMPANY),
    **{f"6000{n:04}": Company(f"Vikarbureau nr. {n}") for n in range(1, 41)},
    "70000001": Company("Café Æblet ApS"),
    "70000002": Company("Cykelsmeden i Gågaden ApS"),
    "70000003": Company("Taget Tilbage ApS"),
    "70000004": Company("Fortrudt ApS"),
    "70000005": Company("Annulleret ApS"),
    "70000006": Company("Står Ved Magt A/S", STOCK_COMPANY),
    "70000007": Company("Feriekassen"),
    "70000008": Company("Store Enheder A/S", STOCK_COMPANY),
    "70000009": Company("Lønbureauet Tal og Tid A/S", STOCK_COMPANY),
    "07000001": Company("Nul Først ApS"),
    "70000010": Company("Yrsa Enkeltmand", SOLE_PROPRIETORSHIP),
    "70000011": Company("Den Lukkede Butik ApS", status="OPLØST"),
    "70000012": Company("Rigtigt Registreret ApS", mistake="Fejlregistreret ApS"),
    "70000013": Company(None, mistake="Aldrig Til ApS"),
}
"""CVR number → company; 99999999 is one that CVR does not know."""
