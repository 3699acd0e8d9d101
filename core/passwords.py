"""Passwords: hashed with Argon2id (RFC 9106, its second recommendation: 64 MiB, 3 passes, 4 lanes).

zxcvbn judges how easily one is guessed: it knows common passwords, words, names, dates, rows of keys, and
how people vary them.
"""

import re
import secrets
import unicodedata
from functools import cache
from threading import BoundedSemaphore, Lock

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import InvalidValue, TooManySignIns, WeakPassword

SHORTEST = 12  # characters; NIST SP 800-63B asks for 8 beside a second factor and 15 alone
LONGEST = 256  # characters; hashing more would only cost us work
ONE_TIME_BYTES = 12  # 96 bits

STRONG = 4  # zxcvbn's best: 10^10 guesses or more, against somebody who got hold of the hashes
READ = 72  # characters zxcvbn looks at (its work grows with the square): these alone must be strong
OTHER = 8  # letters and digits a password needs besides the account's name and the next line's words
OWN_WORDS = ("facewarden", "warden", "deepfake", "moderation", "moderator", "reviewer")
_ONE_GUESSER = Lock()  # zxcvbn keeps the words of the current call in global state

# Each hash takes 64 MiB: a flood of sign-ins must wait in line instead of filling the memory, and the line
# is short, so that it does not hold every thread of the service either.
_AT_ONCE = BoundedSemaphore(2)
_IN_LINE = BoundedSemaphore(8)
WAIT_SECONDS = 2  # told to whoever finds the line full


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str) -> str:
    """The hash to store, with its salt and parameters in it."""
    with _AT_ONCE:
        return _hasher().hash(password)


def check_password(password: str, stored: str | None) -> bool:
    """Whether `stored` is the hash of `password`. Takes equally long without a hash (None).

    Raises TooManySignIns where too many are being checked already.
    """
    if len(password) > LONGEST:
        password = ""  # cannot be right: nobody may set it
    if not _IN_LINE.acquire(blocking=False):
        raise TooManySignIns(seconds=WAIT_SECONDS)
    try:
        with _AT_ONCE:
            return _hasher().verify(stored or _unknown(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False
    finally:
        _IN_LINE.release()


@cache
def _unknown() -> str:
    """A hash of nobody's password, made with the usual parameters."""
    return _hasher().hash(secrets.token_urlsafe())


def outdated(stored: str) -> bool:
    """Whether `stored` was made with other parameters than new hashes are."""
    return _hasher().check_needs_rehash(stored)


def one_time_password() -> str:
    """A random password that a person can type."""
    return secrets.token_urlsafe(ONE_TIME_BYTES)


def accept_password(password: str, *, name: str) -> None:
    """Raises InvalidValue or WeakPassword where nobody should have this password, `name` least of all."""
    if len(password) < SHORTEST:
        raise InvalidValue(field="password", reason=f"it needs {SHORTEST} characters or more")
    if len(password) > LONGEST:
        raise InvalidValue(field="password", reason=f"it may have at most {LONGEST} characters")
    if len(set(password)) < 5:
        raise WeakPassword(reason="it repeats a few characters")
    # To whoever guesses, compatibility forms (full-width letters, ligatures) are the plain ones.
    plain = unicodedata.normalize("NFKC", password).lower()
    known = {*OWN_WORDS, *_words(name)}
    left = plain
    for word in sorted(known, key=len, reverse=True):
        left = left.replace(word, "")
    if left != plain and len(re.sub(r"[\W_]", "", left)) < OTHER:
        raise WeakPassword(reason="it is little more than the account's name or this product's words")
    _refuse_guessable(unicodedata.normalize("NFKC", password)[:READ], sorted(known))


def _words(name: str) -> set[str]:
    """The name and its parts of three letters or more."""
    name = name.strip().lower()
    return {word for word in (name, *re.split(r"[._@-]+", name)) if len(word) > 2}


def _refuse_guessable(password: str, known: list[str]) -> None:
    from zxcvbn import zxcvbn  # noqa: PLC0415  its dictionaries take a while, and few processes set passwords

    with _ONE_GUESSER:
        found = zxcvbn(password, user_inputs=known, max_length=READ)
    if found["score"] < STRONG:
        # The feedback quotes none of the password: it may be read over a shoulder, and logged.
        warning = str(found["feedback"]["warning"]).rstrip(".").lower()
        raise WeakPassword(
            reason=warning or "its words, names or numbers are among the first that guessers try"
        )
