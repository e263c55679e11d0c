"""What `registerbro secrets` makes: a password per service and server, in folders that are closed whoever made them."""

import os
import re

import pytest
from typer.testing import CliRunner

from cli.app import cli
from demo.installation import RedisServer
from registerbro.storage import acl


@pytest.fixture
def make(tmp_path):
    folder = tmp_path / "secrets"

    def run():
        result = CliRunner().invoke(cli, ["secrets", str(folder)])
        assert result.exit_code == 0, result.output
        return folder, result.output

    return run


def url_of(folder, service, server):
    return (folder / service / f"{server}_url").read_text("utf-8")


def password_of(folder, service, server):
    found = re.fullmatch(rf"redis://{service}:([^:/@]+)@{server}:6379/0", url_of(folder, service, server))
    return found[1] if found else None


def test_each_service_has_a_password_of_its_own_on_each_server_where_it_has_business(make):
    folder, _ = make()
    passwords = {(user, server): password_of(folder, user, server) for user in acl.GRANTS for server in acl.SERVERS}
    has = {place for place, password in passwords.items() if password}
    assert has == {(user, server) for user, grants in acl.GRANTS.items() for server in grants}
    assert len({passwords[place] for place in has}) == len(has)
    assert {url_of(folder, "flower", server) for server in ("ledger", "cache")} == {
        f"redis://{server}:6379/0" for server in ("ledger", "cache")
    }


def test_made_once_more_it_keeps_all_that_there_is(make):
    folder, _ = make()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    make()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nobody_else_gets_into_the_folder_also_where_it_was_there_and_open(make, tmp_path, umask):
    folder = tmp_path / "secrets"
    (folder / "redis").mkdir(parents=True)
    (folder / "pepper").write_text("a pepper that was there, and is kept")
    for path in (folder, folder / "redis", folder / "pepper"):
        path.chmod(0o777)
    before = os.umask(umask)
    try:
        make()
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "redis")} == {0o700}
    for path in folder.rglob("*"):
        mode = path.stat().st_mode & 0o777
        is_mounted = path.parent not in {folder, folder / "redis"}
        if path.is_file():
            assert mode == (0o644 if is_mounted else 0o600), path
        elif path.name != "redis":
            assert mode == 0o755, path
    assert (folder / "pepper").read_text() == "a pepper that was there, and is kept"


def test_passwords_of_the_former_form_stay_good_and_are_told_of_until_their_files_are_gone(make, tmp_path):
    former = {service: f"former of {service}" for service in acl.GRANTS}
    (tmp_path / "secrets" / "redis").mkdir(parents=True)
    for service, password in former.items():
        (tmp_path / "secrets" / "redis" / service).write_text(password)
    folder, told = make()
    assert f"{len(former)} passwords of the former form" in told
    assert not any(password in told for password in former.values())
    users = (folder / "broker" / "users.acl").read_text("utf-8")
    assert {line.count(" #") for line in users.splitlines() if line.split()[1] in former} == {2}
    assert password_of(folder, "worker-udb", "broker") not in former.values()
    for service in former:
        (folder / "redis" / service).unlink()
    _, told = make()
    assert "former form" not in told
    users = (folder / "broker" / "users.acl").read_text("utf-8")
    assert {line.count(" #") for line in users.splitlines() if line.split()[1] in former} == {1}


def test_nothing_secret_is_printed(make):
    folder, told = make()
    kept = [path.read_text("utf-8").strip() for path in folder.rglob("*") if path.is_file()]
    assert [secret for secret in kept if secret and secret in told] == []


@pytest.mark.parametrize("version", [(6, 2), (7, 0), (7, 2), (8, 0)])
@pytest.mark.parametrize("server", acl.SERVERS)
def test_a_server_is_told_of_no_command_that_its_release_has_not(server, version):
    text = acl.acl_file(server, dict.fromkeys(acl.GRANTS, "x"), version)
    assert ("%R~" in text) is (version >= (7, 0))
    assert ("function|kill" in text) is (version >= (7, 0))
    assert ("waitaof" in text) is (version >= (7, 2))


def test_a_server_takes_the_file_that_is_made_for_its_release(tmp_path):
    passwords = {service: f"of {service}" for service in acl.GRANTS}
    server = RedisServer("broker", tmp_path, passwords)
    try:
        assert server.start().process.runs
        file = tmp_path / "broker" / "users.acl"
        assert file.stat().st_mode & 0o777 == 0o600
    finally:
        server.stop()
