"""What became of the files of one run, kept on disk until its end: there may be millions."""

import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from sqlalchemy import Engine

from core.errors import InvalidValue, SettingsError
from core.outcomes import UNFINISHED, ScreeningStatus
from core.spreadsheets import cell
from ingest.registration import Intake, Receipt
from ingest.steps import Step
from storage.engine import reading
from storage.read import progress
from storage.read.progress import Progress
from storage.videos import Sighted

SEEN = "seen"  # beside the members of Intake: it was taken in before
TOGETHER = 1000  # files whose verdicts are asked for at once
LOOK_SECONDS = 1.0  # between two looks for verdicts
BAD = {Intake.FAILED.value, Intake.REFUSED.value, Intake.UNSETTLED.value}
COLUMNS = ("source", "name", "intake", "sha256", "video_id", "status", "verdict", "score", "error", "message")

Row = dict[str, Any]  # by COLUMNS


class Report:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._rows = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed by __exit__
        self.files = 0
        self.bad = 0  # refused, or failed to be screened
        self._intakes: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()

    def add(self, source: str, step: Step) -> None:
        """Note what a step tells."""
        if step.receipt is not None:
            self._note(_of_receipt(source, step.receipt))
        for known in step.known:
            self._note(_of_known(source, known))

    def wait(self, tell: Callable[[int], None]) -> None:
        """Until all that was taken in is screened, or has failed. `tell` hears how many files that are."""
        done = 0
        for rows in self._batches():
            while self._go_on(rows):
                time.sleep(LOOK_SECONDS)
            done += len(rows)
            tell(done)
        self._count_verdicts()

    def _go_on(self, rows: list[Row]) -> bool:
        """Whether a verdict is still to come. A video that is not there any more was erased: none is.

        What was queued may have an answer already, of the model version before the one that was asked.
        """
        if any(row["status"] in UNFINISHED for row in self._judged(rows)):
            return True
        queued = [row["video_id"] for row in rows if row["intake"] == Intake.QUEUED]
        with reading(self._engine) as session:
            return bool(progress.unfinished(session, queued))

    def print(self, console: Console, *, judged: bool) -> None:
        for title, counts in (
            ("taken in", self._intakes),
            ("failures", self._errors),
            *((("verdicts", self._verdicts),) if judged else ()),
        ):
            told = ", ".join(f"{name} {number}" for name, number in counts.most_common())
            console.print(f"{title:9} {told or '-'}", markup=False, highlight=False, soft_wrap=True)

    def write(self, path: Path, *, judged: bool) -> None:
        """One row for each file, as CSV that is safe to open in a spreadsheet, or as JSON with the counts.

        Raises SettingsError if the file cannot be written.
        """
        try:
            with path.open("w", encoding="utf-8", newline="") as file:
                if path.suffix.lower() == ".csv":
                    writer = csv.writer(file)
                    writer.writerow(COLUMNS)
                    for row in self._all(judged=judged):
                        writer.writerow([cell(row[column]) for column in COLUMNS])
                else:
                    self._write_json(file.write, judged=judged)
        except OSError as error:
            raise _unwritable(path, error) from error

    def _write_json(self, write: Callable[[str], object], *, judged: bool) -> None:
        counts: dict[str, Any] = {"taken_in": self._intakes, "failures": self._errors}
        if judged:
            counts["verdicts"] = self._verdicts
        write(json.dumps(counts, ensure_ascii=False)[:-1] + ', "files": [')
        for number, row in enumerate(self._all(judged=judged)):
            write((",\n" if number else "\n") + json.dumps(row, ensure_ascii=False))
        write("\n]}\n")

    def _note(self, row: Row) -> None:
        self.files += 1
        self._intakes[row["intake"]] += 1
        if row["error"] is not None:
            self._errors[row["error"]] += 1
        self.bad += row["intake"] in BAD
        self._rows.write(json.dumps(row) + "\n")

    def _count_verdicts(self) -> None:
        for row in self._all(judged=True):
            if row["verdict"] is not None:
                self._verdicts[row["verdict"]] += 1
            elif row["status"] == ScreeningStatus.FAILED and row["intake"] not in BAD:
                self._errors[row["error"]] += 1
                self.bad += 1

    def _all(self, *, judged: bool) -> Iterator[Row]:
        for rows in self._batches():
            yield from self._judged(rows) if judged else rows

    def _batches(self) -> Iterator[list[Row]]:
        self._rows.flush()
        self._rows.seek(0)
        while lines := list(islice(self._rows, TOGETHER)):
            yield [json.loads(line) for line in lines]

    def _judged(self, rows: list[Row]) -> list[Row]:
        """With what the screenings have come to by now."""
        with reading(self._engine) as session:
            found = progress.of_videos(session, [row["video_id"] for row in rows if row["video_id"]])
        screened = {each.video_id: each for each in found}
        return [_with(row, screened.get(row["video_id"])) for row in rows]


def check_path(path: Path) -> None:
    """Before the hours of work. Raises InvalidValue or SettingsError."""
    if path.suffix.lower() not in {".csv", ".json"}:
        raise InvalidValue(field="--report", reason=f"{path} ends neither with .csv nor with .json")
    try:
        path.open("a").close()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(setting=f"--report {path}", reason=str(error.strerror))


def _of_receipt(source: str, receipt: Receipt) -> Row:
    error = receipt.error
    return dict.fromkeys(COLUMNS) | {
        "source": source,
        "name": receipt.name,
        "intake": receipt.intake.value,
        "sha256": receipt.sha256,
        "video_id": receipt.video_id,
        "error": error and error.code,
        "message": error and str(error),
    }


def _of_known(source: str, known: Sighted) -> Row:
    return dict.fromkeys(COLUMNS) | {
        "source": source,
        "name": known.seen.name,
        "intake": SEEN,
        "video_id": known.video_id,
        "error": known.error_code,
    }


def _with(row: Row, screened: Progress | None) -> Row:
    if screened is None:
        return row
    told = {"status": screened.status, "verdict": screened.verdict, "score": screened.score}
    if screened.error_code is not None:
        told |= {"error": screened.error_code, "message": screened.error_message}
    return row | told
