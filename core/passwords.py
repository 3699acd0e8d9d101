"""Passwords: hashed with Argon2id (RFC 9106, its second recommendation: 64 MiB, 3 passes, 4 lanes)."""

import secrets
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import InvalidValue, TooManySignIns

SHORTEST = 12  # characters; NIST SP 800-63B asks for 8 beside a second factor and 15 alone
LONGEST = 256  # characters; hashing more is only work for an attacker's request
ONE_TIME_BYTES = 12  # 96 bits

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
    """Raises InvalidValue where nobody should have this password, `name` least of all."""
    if len(password) < SHORTEST:
        raise InvalidValue(field="password", reason=f"it needs {SHORTEST} characters or more")
    if len(password) > LONGEST:
        raise InvalidValue(field="password", reason=f"it may have {LONGEST} characters at most")
    if len(set(password)) < 5:
        raise InvalidValue(field="password", reason="it repeats too few characters")
    if name and name.lower() in password.lower() and len(password) - len(name) < 8:
        raise InvalidValue(field="password", reason="it is little more than the name")
