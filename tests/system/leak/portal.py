"""The real `registerbro serve`, with one more route, and a defect when one citizen's page is read."""

from starlette.responses import Response

from cli import app as cli
from portal import server
from portal.api.pages import Pages
from tests.system.leak import frames
from tests.system.leak.plants import CRASHES, ROUTE, SECRET_TEXTS, WAYS, Clumsy

_create, _page = server.create, Pages.read_page


def create(settings, own_url):
    frames.install()
    app = _create(settings, own_url)

    async def with_route(scope, receive, send):
        if scope["type"] == "http" and scope["path"] == ROUTE:
            return await Response(b"\n".join([*WAYS.values(), *map(str.encode, SECRET_TEXTS)]))(scope, receive, send)
        return await app(scope, receive, send)

    return with_route


async def page(self, citizen):
    if citizen.cpr.digits == CRASHES:
        raise Clumsy(CRASHES)
    return await _page(self, citizen)


server.create, Pages.read_page = create, page

if __name__ == "__main__":
    cli.main()
