"""eIndkomst with WS-Security, against a gateway with code of its own: what is not signed is not shown."""

import pytest

from registerbro.pages.reader import SectionState
from simulators import citizens
from simulators.authority import Authority
from simulators.signatures import Signatures, Signer
from tests.system.contract.told import assert_told

KNOWN = citizens.EXAMPLE.cpr


@pytest.fixture
def register():
    return "eindkomst"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def files(authority):
    return {name: authority.issue(name, with_rsa=name != "stranger") for name in ("us", "gateway", "stranger")}


@pytest.fixture
def ours():
    return "us"


@pytest.fixture
def policy():
    """The hash function, and whether the token is signed, both ways: the published policy unless a test says else."""
    return "sha1", True


@pytest.fixture
def set_so(policy):
    """How we are set."""
    return {"SIGNATURE": policy[0], "SIGN_TOKEN": str(policy[1])}


@pytest.fixture
def own_settings(files, ours, set_so):
    own = {"SIGNING_CERT": str(files[ours])} if ours else {}
    own |= {"VERIFY_WITH": str(files["gateway"]), **set_so}
    return {f"EINDKOMST__{name}": value for name, value in own.items()}


@pytest.fixture(autouse=True)
def gateway(simulation, files, policy):
    signers = {name: Signer.load(file) for name, file in files.items()}
    agreed = Signatures(
        signers["us"].certificate,
        signers["gateway"],
        signers["stranger"],
        digest=policy[0],
        accepts=frozenset({policy[0]}),
        expects_token=policy[1],
        token_signed=policy[1],
    )
    with simulation.signing(agreed):
        yield


@pytest.mark.parametrize("policy", [(digest, token) for digest in ("sha1", "sha256") for token in (True, False)])
async def test_a_signed_question_gets_a_signed_answer(bridge, control):
    entry, sections = await bridge.refresh(KNOWN)
    (call,) = control.calls("eindkomst").calls
    assert (entry.failure, call.broke_contract, call.status) == (None, None, 200)
    assert {view.state for view in sections.values()} == {SectionState.READY}


async def test_no_data_is_believed_when_it_is_signed(bridge, control):
    control.fault("eindkomst", {"kind": "empty"})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.EMPTY}


async def test_unless_it_is_set_otherwise_the_published_policy_is_followed(bridge, control):
    entry, _ = await bridge.refresh(KNOWN)
    (call,) = control.calls("eindkomst").calls
    assert (entry.failure, call.broke_contract, call.status) == (None, None, 200)


@pytest.mark.parametrize("ours", ["stranger", None])
@pytest.mark.parametrize("policy", [("sha256", True)])
async def test_a_question_that_is_not_signed_by_us_is_for_an_operator(bridge, control, ours):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == ("not_authorised", None)
    (call,) = control.calls("eindkomst").calls
    assert call.broke_contract
    assert_told(sections)


@pytest.mark.parametrize(
    "set_so", [{"SIGNATURE": "sha256", "VERIFY_ALGORITHMS": "sha1"}, {"SIGNATURE": "sha1", "SIGN_TOKEN": "false"}]
)
async def test_a_question_that_is_signed_otherwise_than_agreed_is_for_an_operator(bridge, control, set_so):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections, control.calls("eindkomst").total) == ("not_authorised", None, 1)
    assert_told(sections)


@pytest.mark.parametrize("set_so", [{"VERIFY_ALGORITHMS": "sha256,sha384,sha512"}])
async def test_an_answer_with_an_algorithm_that_is_not_believed_is_not_shown(bridge, control, set_so):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == ("invalid_response", None)
    assert_told(sections)


@pytest.mark.parametrize("ours", ["stranger"])
async def test_a_key_that_cannot_sign_so_sends_no_question(bridge, control, ours):
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections, control.calls("eindkomst").total) == ("not_authorised", None, 0)
    assert_told(sections)


@pytest.mark.parametrize("policy", [("sha1", False), ("sha256", False)])
async def test_a_token_that_is_signed_though_it_need_not_be_is_believed(bridge, control):
    control.fault("eindkomst", {"kind": "signature", "how": "token_too"})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure is None
    assert {view.state for view in sections.values()} == {SectionState.READY}


@pytest.mark.parametrize("policy", [("sha1", True), ("sha256", True)])
@pytest.mark.parametrize(
    "how",
    [
        *("unsigned", "altered", "wrapped", "wrapped_with_its_id", "wrapped_timestamp", "wrapped_token"),
        *("without_value", "stale", "foreign", "body_alone", "timestamp_alone", "other_digest"),
    ],
)
async def test_an_answer_whose_signature_does_not_hold_is_asked_for_once_again_and_not_shown(bridge, control, how):
    control.fault("eindkomst", {"kind": "signature", "how": how})
    entry, sections = await bridge.refresh(KNOWN)
    assert (entry.failure, entry.sections) == ("invalid_response", None)
    assert control.calls("eindkomst").total == 2
    assert_told(sections)


async def test_an_answer_that_is_not_signed_leaves_what_was_there(bridge, control):
    first, _ = await bridge.refresh(KNOWN)
    control.fault("eindkomst", {"kind": "signature", "how": "altered"})
    await bridge.services.cache.hset(
        (await bridge.services.cache.keys("entry:*:eindkomst"))[0], mapping={"fresh_until": 0}
    )
    second, sections = await bridge.refresh(KNOWN)
    assert (second.failure, second.sections) == ("invalid_response", first.sections)
    assert {view.state for view in sections.values()} == {SectionState.READY}


async def test_answers_whose_signature_does_not_hold_open_the_breaker(bridge, control):
    control.fault("eindkomst", {"kind": "signature", "how": "foreign"})
    for citizen in (citizens.EXAMPLE, citizens.FOUR_JOBS, citizens.LONG_HISTORY):
        await bridge.refresh(citizen.cpr)
    seen = await bridge.services.admission("eindkomst").status()
    assert (seen["state"], control.calls("eindkomst").total) == ("open", 5)


async def test_another_persons_answer_is_just_that_however_well_it_is_signed(bridge, control):
    control.fault("eindkomst", {"kind": "wrong_person"})
    entry, sections = await bridge.refresh(KNOWN)
    assert entry.failure == "wrong_person"
    assert_told(sections)
