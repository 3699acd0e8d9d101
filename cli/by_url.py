"""`facewarden ingest https://…`."""

from rich.console import Console

from cli.configuration import ACTOR
from core.errors import InputError, printable
from core.settings import Settings
from ingest.by_url import Fetcher
from storage.engine import connect
from storage.migrate import upgrade
from storage.objects.choice import open_store

SCHEMES = ("http://", "https://")


def is_address(text: str) -> bool:
    return text.lower().startswith(SCHEMES)


def take_in_by_url(settings: Settings, addresses: list[str]) -> int:
    """Fetch and register what is at the addresses; returns how many were refused."""
    engine = connect(settings.sql_url)
    upgrade(engine)
    fetcher, console, refused = Fetcher(settings, engine, open_store(settings)), Console(), 0
    for address in addresses:
        try:
            receipt = fetcher.take(address, actor=ACTOR)
            line = f"{receipt.intake.value:9} {printable(receipt.name)}"
        except InputError as error:
            refused += 1
            line = f"refused   {error}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    engine.dispose()
    return refused
