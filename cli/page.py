"""`registerbro page`: prints one citizen's page, as a portal reads it from the cache."""

from cli.session import By, Reason, about_a_citizen, with_services
from registerbro.audit_log import Action
from registerbro.pages.reader import Reader
from registerbro.services import Services
from registerbro.terminal import say_json_text


def page(reason: Reason = "", by: By = "") -> None:
    """Print a citizen's page as JSON, as the cache has it. The CPR number is read from standard input."""
    who, cpr, settings = about_a_citizen(by)

    async def read(services: Services) -> str:
        reader = Reader(settings)
        try:
            async with who.acts(services, Action.SHOW_PAGE, citizen_id=services.citizens.id_of(cpr), reason=reason):
                return (await reader.read_page(cpr)).json_text()
        finally:
            await reader.close()

    say_json_text(with_services(settings, read, "the page cannot be read"))
