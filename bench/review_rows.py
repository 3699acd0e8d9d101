"""A large installation's rows, made in the database itself and the same each time.

Every value follows from the row's number through a multiplicative hash (Knuth, "The Art of Computer
Programming" 3, 6.4): neither database needs a random generator, and both get the same rows.
"""

# ruff: noqa: S608  every part of the statements is written here

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, text

from storage.engine import transaction
from storage.tables import Account, ModelVersionRow

BEGIN = datetime(2025, 11, 1, tzinfo=UTC)  # when the first video came
STEP_SECONDS = 30  # between two videos: a million make about a year
FACES = 20  # scored faces per video
CHUNK = 100_000  # videos of one statement
SOURCES = ("bucket:/srv/incoming", "bucket:/srv/archive", "upload", "url")
WORDS = ("interview", "holiday", "newsroom", "statement", "match", "party", "lecture", "trailer")
MODELS = ("xception-aaaaaaaaaaaa", "xception-bbbbbbbbbbbb")
REVIEWERS = ("ada", "ben", "cleo")

# What a row's values follow from, a multiplier for each: primes, so that no value tells of another.
MULTIPLIERS = (2654435761, 2246822519, 3266489917, 668265263, 374761393, 2971215073, 1500450271)
MODULUS = 1_000_003

# For the filling only. SQLite: KiB of cache, for six indexes grow at once. PostgreSQL: no look at each
# referenced row, which are all there.
SETTINGS = {
    "sqlite": ["PRAGMA cache_size = -262144"],
    "postgresql": ["SET LOCAL session_replication_role = replica", "SET LOCAL synchronous_commit = off"],
}


def fill(engine: Engine, videos: int, *, say: Callable[[str], None]) -> None:
    """Fill a migrated database, unless an earlier run has left it full."""
    with engine.connect() as connection:
        if connection.scalar(text("SELECT count(*) FROM video")) == videos:
            return
    with transaction(engine) as session:
        for model in MODELS:
            session.add(
                ModelVersionRow(
                    id=model,
                    architecture="xception",
                    label="bench",
                    weights_sha256="0" * 64,
                    input_size=299,
                    details={"fake_threshold": 0.7, "suspect_threshold": 0.5},
                )
            )
        for name in REVIEWERS:
            session.add(Account(name=name, role="reviewer"))
    for first in range(1, videos + 1, CHUNK):
        last = min(first + CHUNK - 1, videos)
        for statement in _statements(engine.dialect.name):
            with engine.begin() as connection:
                for setting in SETTINGS[engine.dialect.name]:
                    connection.execute(text(setting))
                connection.execute(text(statement.format(first=first, last=last)))
        say(f"{last:,} of {videos:,} videos")
    engine.dispose()  # and the settings with it
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _settle(connection)


def _settle(connection: Connection) -> None:
    """What a running installation has done by itself long ago."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))


class _Dialect:
    """The few words in which the two databases differ. `{first}`, `{last}`: the numbers of the videos."""

    def __init__(self, name: str) -> None:
        self.sqlite = name == "sqlite"
        if self.sqlite:
            self.numbers = (
                "WITH RECURSIVE numbers(n) AS"
                " (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})"
            )
            self.places = (
                f", places(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM places WHERE k < {FACES - 1})"
            )
            self.hash, self.yes, self.no = "printf('%064x', n)", "1", "0"
        else:
            self.numbers = "WITH numbers AS (SELECT generate_series({first}::bigint, {last}) AS n)"
            self.places = f", places AS (SELECT generate_series(0, {FACES - 1}) AS k)"
            self.hash, self.yes, self.no = "lpad(to_hex(n), 64, '0')", "true", "false"

    def moment(self, seconds_later: int = 0) -> str:
        """When the video was first seen, or later."""
        seconds = f"{STEP_SECONDS} * n + {seconds_later}"
        if self.sqlite:
            since = int(BEGIN.timestamp())
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', {since} + {seconds}, 'unixepoch')"
        return f"(TIMESTAMPTZ '{BEGIN.isoformat()}' + ({seconds}) * INTERVAL '1 second')"

    def digits(self, number: str, width: int) -> str:
        return f"printf('%0{width}d', {number})" if self.sqlite else f"lpad(({number})::text, {width}, '0')"

    def real(self, number: str) -> str:
        return f"CAST({number} AS REAL)" if self.sqlite else f"({number})::double precision"


def _statements(dialect: str) -> list[str]:
    """What fills the tables, in their order."""
    sql = _Dialect(dialect)
    of_name, of_source, of_status, of_score, of_face, of_state, of_model = (
        f"(n * {multiplier} % {MODULUS}) / {MODULUS}.0" for multiplier in MULTIPLIERS
    )
    status = _split(of_status, {"done": 0.93, "failed": 0.96, "queued": 0.99, "screening": 1.0})
    done = f"{status} = 'done'"
    # Squared: most videos score low.
    score, scored = f"({of_score}) * ({of_score})", f"{of_face} >= 0.08"
    verdict = (
        f"CASE WHEN {of_face} < 0.04 THEN 'no_face' WHEN {of_face} < 0.06 THEN 'unjudged'"
        f" WHEN {of_face} < 0.08 THEN 'too_short'"
        f" WHEN {score} >= 0.7 THEN 'fake' WHEN {score} >= 0.5 THEN 'suspect' ELSE 'clear' END"
    )
    state = _split(of_state, {"open": 0.5, "second_opinion": 0.53, "decided": 1.0})
    outcome = _split(of_state, {"second_opinion": 0.53, "genuine": 0.9, "fake": 1.0})
    source = _choice(SOURCES, of_source)
    model = _split(of_model, {MODELS[0]: 0.7, MODELS[1]: 1.0})
    at, later = sql.moment(), sql.moment(40)
    name = (
        f"{_choice(WORDS, of_name)} || '/' || {sql.digits('n', 7)} || '_' ||"
        f" {sql.digits('(n * 7919) % 1000000007', 9)} || '.mp4'"
    )
    landmarks = "[[101.5, 99.25], [140.0, 98.5], [120.75, 120.0], [104.0, 141.5], [138.25, 140.75]]"
    logit = sql.real("((n * 31 + k * 17) % 997) / 99.7 - 5")
    each, each_face = sql.numbers, f"{sql.numbers}{sql.places}"
    return [
        f"""
        INSERT INTO video (id, sha256, size_bytes, media_kind, object_key, created_at)
        {each} SELECT n, {sql.hash}, 1000000 + n, 'video', 'key', {at} FROM numbers
        """,
        f"""
        INSERT INTO sighting (source, name, folded_name, size_bytes, mtime_ns, video_id, seen_at)
        {each} SELECT {source}, {name}, {name}, 1000000 + n, n, n, {at} FROM numbers
        """,
        f"""
        INSERT INTO screening (
            id, video_id, model_version_id, attempt, failures, status, queued_at, started_at, finished_at,
            verdict, score, raw_score, coverage, partial, probe, timings, error_code, error_message,
            latest, added_at, source, decision_state
        )
        {each} SELECT n, n, {model}, 1, 0, {status}, {at}, {at},
            CASE WHEN {status} IN ('done', 'failed') THEN {later} END,
            CASE WHEN {done} THEN {verdict} END,
            CASE WHEN {done} AND {scored} THEN {sql.real(score)} END,
            CASE WHEN {done} AND {scored} THEN {sql.real("1.5")} END,
            1.0, {sql.no}, '{{{{"codec": "h264", "duration_seconds": 30.0}}}}', '{{{{"total": 1.5}}}}',
            CASE WHEN {status} = 'failed' THEN 'broken_media' END,
            CASE WHEN {status} = 'failed' THEN 'not one frame could be decoded' END,
            {sql.yes}, {at}, {source}, {state}
        FROM numbers
        """,
        f"""
        INSERT INTO face_track (
            id, screening_id, number, start_seconds, end_seconds, frames, usable_frames, score, raw_score,
            supported
        )
        {each} SELECT n, n, 0, 0, 30, {FACES}, {FACES}, 0.5, 0.0, {sql.yes} FROM numbers
        """,
        f"""
        INSERT INTO face (
            id, screening_id, track_id, frame_index, time_seconds, x0, y0, x1, y1, landmarks, probability,
            sharpness, yaw
        )
        {each_face} SELECT n * {FACES} + k, n, n, k, k * 1.5, 80.5, 60.25, 160.75, 170.5,
            '{landmarks}', 0.99, 150.0, 0.1
        FROM numbers CROSS JOIN places
        """,
        f"""
        INSERT INTO frame_score (face_id, logit)
        {each_face} SELECT n * {FACES} + k, {logit} FROM numbers CROSS JOIN places
        """,
        f"""
        INSERT INTO flagged_frame (
            screening_id, face_id, track_number, rank, time_seconds, score, image_key, crop_key,
            explain_status, explain_attempt
        )
        {each_face} SELECT n, n * {FACES} + k, 0, k, k * 1.5, 0.9, 'key', 'key', 'done', 1
        FROM numbers CROSS JOIN places WHERE k < 3 AND {done} AND {scored} AND {score} >= 0.5
        """,
        f"""
        INSERT INTO decision (video_id, screening_id, account_id, outcome, blind, created_at)
        {each} SELECT n, n, 1 + n % {len(REVIEWERS)}, {outcome}, {sql.no}, {sql.moment(400)}
        FROM numbers WHERE {of_state} >= 0.5 AND {done}
        """,
    ]


def _choice(words: tuple[str, ...], share: str) -> str:
    """An SQL expression that gives one of the words, all as often."""
    return _split(share, {word: (place + 1) / len(words) for place, word in enumerate(words)})


def _split(share: str, limits: dict[str, float]) -> str:
    """An SQL expression that gives the first word whose limit is above the share."""
    cases = " ".join(f"WHEN {share} < {limit} THEN '{word}'" for word, limit in limits.items())
    return f"CASE {cases} END"
