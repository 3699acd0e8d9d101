"""`facewarden ingest`."""

from pathlib import Path

from rich.console import Console

from core.errors import printable
from core.settings import Settings
from ingest.bucket import ingest_paths
from ingest.registration import Intake, Registrar
from ingest.service import watch
from storage.engine import connect
from storage.migrate import upgrade
from storage.objects.choice import open_store


def take_in(settings: Settings, paths: list[Path]) -> int:
    """Register the files; returns how many were refused."""
    engine = connect(settings.sql_url)
    upgrade(engine)
    registrar = Registrar(settings, engine, open_store(settings))
    console, refused = Console(), 0
    for receipt in ingest_paths(paths, registrar, settings):
        console.print(f"{receipt.intake.value:9} {printable(receipt.name)}", markup=False, highlight=False)
        if receipt.error is not None:
            console.print(f"          {receipt.error}", markup=False, highlight=False)
        refused += receipt.intake in {Intake.FAILED, Intake.REFUSED, Intake.UNSETTLED}
    return refused


def watch_bucket(settings: Settings) -> None:
    """Watch the bucket until stopped."""
    engine = connect(settings.sql_url)
    upgrade(engine)
    engine.dispose()
    watch(settings)
