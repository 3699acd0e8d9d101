"""Passwords: hashed with Argon2id (RFC 9106, its second recommendation: 64 MiB, 3 passes, 4 lanes).

How easily one is guessed is what zxcvbn says: it knows the common ones, words, names, dates and rows of keys,
and what people do to them.
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
LONGEST = 256  # characters; hashing more is only work for an attacker's request
ONE_TIME_BYTES = 12  # 96 bits

STRONG = 4  # zxcvbn's best: 10^10 guesses or more, against somebody who got hold of the hashes
READ = 72  # characters that zxcvbn looks at: its work grows with the square, and these alone must do
OTHER = 8  # letters and digits that a password needs beside the account's name and the next line's words
OWN_WORDS = ("facewarden", "warden", "deepfake", "moderation", "moderator", "reviewer")
_ONE_GUESSER = Lock()  # zxcvbn keeps the words of the call that runs where all calls see them

# Each hash takes 64 MiB: a flood of sign-ins must wait in line instead of filling the memory, and in a short
# line, so that it does not hold every thread of the service either.
_AT_ONCE = BoundedSemaphore(2)
_IN_LINE = BoundedSemaphore(8)
WAIT_SECONDS = 2  # that who finds the line full is told to wait


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


def hash_password(password: str) -> str:
    """The hash to store, with its salt and parameters in it."""
    with _AT_ONCE:
        return _hasher().hash(password)


def check_password(password: str, stored: str | None) -> bool:
    """Whether `stored` is the hash of `password`. Takes as long where there is no hash (None).

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
    """A hash of nobody's password, made with the parameters of all."""
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
        raise InvalidValue(field="password", reason=f"it may have {LONGEST} characters at most")
    if len(set(password)) < 5:
        raise WeakPassword(reason="it repeats too few characters")
    # Compatibility forms (full-width letters, ligatures) are the plain ones to whoever guesses.
    plain = unicodedata.normalize("NFKC", password).lower()
    known = {*OWN_WORDS, *_words(name)}
    left = plain
    for word in sorted(known, key=len, reverse=True):
        left = left.replace(word, "")
    if left != plain and len(re.sub(r"[\W_]", "", left)) < OTHER:
        raise WeakPassword(reason="it is little more than the account's name or words of this product")
    _refuse_guessable(unicodedata.normalize("NFKC", password)[:READ], sorted(known))


def _words(name: str) -> set[str]:
    """The name and its parts; what is shorter than three letters says nothing."""
    name = name.strip().lower()
    return {word for word in (name, *re.split(r"[._@-]+", name)) if len(word) > 2}


def _refuse_guessable(password: str, known: list[str]) -> None:
    from zxcvbn import zxcvbn  # noqa: PLC0415  its dictionaries take a while, and few processes set passwords

    with _ONE_GUESSER:
        found = zxcvbn(password, user_inputs=known, max_length=READ)
    if found["score"] < STRONG:
        # The feedback repeats nothing of the password: it may be seen over a shoulder, and logged.
        warning = str(found["feedback"]["warning"]).rstrip(".").lower()
        raise WeakPassword(reason=warning or "its words, names or numbers are among the first to be tried")
