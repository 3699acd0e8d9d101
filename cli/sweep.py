"""`facewarden sweep`."""

import json
from dataclasses import asdict

from rich.console import Console

from core.errors import printable
from core.settings import Settings
from storage.engine import connect
from storage.objects.choice import open_store
from storage.sweep import Findings, look, sweep


def run_sweep(settings: Settings, *, dry_run: bool, force: bool, as_json: bool) -> bool:
    """Report, and remove unless `dry_run`; False if objects are missing."""
    engine, objects = connect(settings.sql_url), open_store(settings)
    removed = removed_bytes = 0
    if dry_run:
        found = look(engine, objects, settings.sweep)
    else:
        swept = sweep(engine, objects, settings.sweep, force=force)
        found, removed, removed_bytes = swept.found, swept.removed, swept.removed_bytes
    if as_json:
        state = {**asdict(found), "removed": removed, "removed_bytes": removed_bytes}
        print(json.dumps(state))  # noqa: T201  stdout is this command's output
    else:
        console = Console()
        console.print(summary(found), markup=False, highlight=False)
        for example in found.examples:
            console.print(f"missing: {printable(example)}", markup=False, highlight=False)
        if not dry_run:
            console.print(f"removed {removed} objects, {removed_bytes / 1024**2:.1f} MiB", markup=False)
    return not found.missing


def summary(found: Findings) -> str:
    return (
        f"{found.objects} objects; {found.orphans} of them orphans"
        f" ({found.orphan_bytes / 1024**2:.1f} MiB), {found.half_written} half written,"
        f" {found.missing} missing"
    )
