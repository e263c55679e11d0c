"""`python -m tests.recordings`: records the simulators' exchanges anew, one of each operation."""

import base64
import io
import os
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from cli.app import cli
from cli.process import run
from config.settings import PREFIX
from demo.installation import DEMO_CREDENTIALS, RedisServer
from domain.service_windows import danish_today
from simulators import Simulation, citizens

HERE = Path(__file__).parent
SINCE = (2021, 8)
"""The first month of eIndkomst's recording: four reports, of which one takes another back."""
COMPANY = "11111111"


def main():
    today = danish_today()
    months = (today.year - SINCE[0]) * 12 + today.month - SINCE[1] + 1
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        (folder / "audit").mkdir()
        simulation = running.enter_context(Simulation())
        settings = {
            **{f"{name.upper()}__BASE_URL": url for name, url in simulation.urls.items() if name != "control"},
            **DEMO_CREDENTIALS,
            "AUDIT_DIR": str(folder / "audit"),
            "OPERATOR": "recordings",
            "PEPPER": "a pepper for recordings alone",
            "SEALING_KEYS": base64.urlsafe_b64encode(os.urandom(32)).decode(),
        }
        for role in ("broker", "ledger", "cache"):
            server = RedisServer(role, folder).start()
            running.callback(server.stop)
            settings[f"{role.upper()}_URL"] = server.url
        os.environ.update({PREFIX + name: value for name, value in settings.items()})
        sys.stdin = io.StringIO(f"{citizens.EXAMPLE.cpr}\n")
        asked = ["conformance", "all", "--record", str(HERE), "--write", "--company", COMPANY, "--months", str(months)]
        run(partial(cli, asked, prog_name="registerbro", standalone_mode=False))


if __name__ == "__main__":
    main()
