"""Style sheets, scripts, fonts and pictures: their path changes with their contents, so that browsers keep them."""

import json
from hashlib import sha256
from pathlib import Path

import structlog
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

log = structlog.get_logger()

OWN = Path(__file__).parent / "static"
KEPT = "public, max-age=31536000, immutable"
"""A year: another content has another path."""
MEDIA_TYPES = {".mjs": "text/javascript", ".woff2": "font/woff2", ".svg": "image/svg+xml"}
"""Media types that Python's own table lacks on some machines."""


class Assets:
    """Where the files are. `design_system` is the folder of the npm package `dkfds`."""

    def __init__(self, design_system: Path) -> None:
        self._design_system = design_system / "dist"
        self.own = f"/static/{_digest(OWN)}"
        self.dkfds = f"/static/dkfds-{_version(design_system)}"

    def routes(self) -> list[BaseRoute]:
        """The routes that serve them."""
        mounted: list[BaseRoute] = [Mount(self.own, _Kept(directory=OWN))]
        if self._design_system.is_dir():
            mounted.append(Mount(self.dkfds, _Kept(directory=self._design_system)))
        else:
            log.warning("design_system_missing", folder=str(self._design_system))
        return mounted


class _Kept(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code in {200, 304}:
            response.headers["Cache-Control"] = KEPT
        kind = MEDIA_TYPES.get(Path(path).suffix)
        if kind is not None and response.status_code == 200:
            response.headers["Content-Type"] = kind
        return response


def _digest(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _version(package: Path) -> str:
    try:
        return str(json.loads((package / "package.json").read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError):
        return "none"
