"""Users of the Redis servers, as file and as document; tests/system/test_acl.py tries what each of them can do."""

import re

from registerbro.storage import acl


def test_an_acl_file_holds_no_password():
    passwords = {service: f"secret of {service}" for service in acl.GRANTS}
    for server in acl.SERVERS:
        assert "secret of" not in acl.acl_file(server, passwords, (7, 2))


def test_the_document_shows_the_list(project):
    text = (project / "docs" / "security.md").read_text("utf-8")
    shown = re.search(r"<!-- python -m registerbro.storage.acl -->\n(.*?)\n<!-- end -->", text, re.DOTALL)[1]
    assert shown == acl.table()
