"""What need not be on disk before it counts: losing it costs work that is done again, and nothing else.

PostgreSQL answers a commit once the disk has it, which is most of the time that a small transaction takes.
One with an `Unhurried` statement is answered at once and is on disk a moment later, in the order of all
commits: whatever waits for the disk afterwards takes it along. So a crash can lose the unhurried commits of
the last moment, but none that a stored verdict was built on.

Never for what cannot be found out again: verdicts, decisions, the audit log, what was taken in.
"""

from typing import Any

from sqlalchemy import Boolean
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

# PostgreSQL's writer comes by every wal_writer_delay, 10 s at most, and has it on disk after three turns.
LOSABLE_SECONDS = 60.0


class Unhurried(FunctionElement[bool]):
    """A condition that is always true; the transaction of its statement does not wait for the disk.

    As a part of the statement it costs no round trip. It ends with the transaction: the next one on the same
    connection waits again. SQLite waits for no single commit anyway (storage.engine).
    """

    type = Boolean()
    inherit_cache = True  # else its statement is compiled each time, which takes longer than the disk
    name = "unhurried"


@compiles(Unhurried)
def _true(element: Unhurried, compiler: Any, **options: Any) -> str:
    del element, compiler, options
    return "1 = 1"


@compiles(Unhurried, "postgresql")
def _on_postgresql(element: Unhurried, compiler: Any, **options: Any) -> str:
    del element, compiler, options
    # A subquery is asked once, before any row; the last argument says: for this transaction only.
    return "(SELECT set_config('synchronous_commit', 'off', true)) = 'off'"
