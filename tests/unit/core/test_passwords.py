"""Passwords: hashed, compared, refused."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher

from core import passwords
from core.errors import InvalidValue, TooManySignIns, WeakPassword
from core.passwords import (
    LONGEST,
    accept_password,
    check_password,
    hash_password,
    one_time_password,
    outdated,
)
from tests.waiting import PATIENCE_SECONDS


def test_only_the_right_password_fits() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert check_password("correct horse battery", stored)
    assert not check_password("correct horse batterz", stored)
    assert not outdated(stored)
    assert stored != hash_password("correct horse battery")  # salted


def test_no_hash_takes_the_same_work_and_fits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # noqa: A002  argon2's name
            checked.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Counting)
    assert not check_password("anything", None)
    assert not check_password("x" * (LONGEST + 1), None)
    assert len(checked) == 2
    parameters = [stored.split("$")[2:4] for stored in checked]
    assert parameters[0] == hash_password("x").split("$")[2:4]


def test_a_flood_is_turned_away_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It must hold neither the memory nor the threads of the service."""
    hashing, done = threading.Semaphore(0), threading.Event()

    class Slow:
        def verify(self, *_: str) -> bool:
            hashing.release()
            return done.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(passwords, "_hasher", Slow)
    with ThreadPoolExecutor(8) as pool:
        checks = [pool.submit(check_password, "x", "stored") for _ in range(8)]
        assert hashing.acquire(timeout=PATIENCE_SECONDS)
        assert hashing.acquire(timeout=PATIENCE_SECONDS)
        try:
            until_full()
            with pytest.raises(TooManySignIns):
                check_password("x", "stored")
            assert not hashing.acquire(blocking=False)  # no third one hashes
        finally:
            done.set()
        assert all(check.result() for check in checks)
    assert check_password("x", "stored")  # the line is empty again


def until_full() -> None:
    while passwords._IN_LINE._value:  # type: ignore[attr-defined]
        time.sleep(0.01)


def test_what_is_no_hash_fits_nothing() -> None:
    assert not check_password("anything", "not a hash")


def test_weaker_parameters_are_outdated() -> None:
    assert outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


@pytest.mark.parametrize(
    "password", ["short", "x" * 257, "aaaaaaaaaaaaaaaa", "abababababababab", "annabelle-1234"]
)
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(InvalidValue, match="password"):
        accept_password(password, name="annabelle")


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "123456789012",
        "qwertyuiopas",
        "1q2w3e4r5t6y",
        "P@ssw0rd1234",
        "Passw0rd!Passw0rd!",
        "iloveyouforever",
        "Summer2025!!",
        "admin123456!",
        "letmein-letmein",
        "19870312-1987",
        "facewardenfacewarden",
        "Facewarden2026!",
        "F4c3w4rd3n!!22",
        "nedrawecaf-2026",
        "DeepFake-Reviewer-1",
        "Smith.Annabelle.1",
        "Annabelle Smith 1987",
        "\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44\uff11\uff12\uff13\uff14",  # full-width password1234
        "a" * 80 + "bcde",
    ],
)
def test_guessable_passwords_are_refused_with_a_remedy(password: str) -> None:
    with pytest.raises(WeakPassword) as caught:
        accept_password(password, name="annabelle.smith@example.org")
    assert "four or five unrelated words" in str(caught.value)
    assert password not in str(caught.value)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "kettle violin march otter",
        "Rw7$kP!2mZq#",
        "annabelle likes purple kettles",
        "\u0444\u0438\u043e\u043b\u0435\u0442\u043e\u0432\u044b\u0439 \u0447\u0430\u0439\u043d\u0438\u043a",
        "x7Kp" * 3 + "wQ9z,tR4!" * 26,
    ],
)
def test_passwords_that_are_hard_to_guess_are_accepted(password: str) -> None:
    accept_password(password, name="annabelle.smith@example.org")


def test_a_word_of_one_account_is_no_word_of_another() -> None:
    accept_password("zanzibarqueen-kpt", name="ann")
    with pytest.raises(WeakPassword):
        accept_password("zanzibarqueen-kpt", name="zanzibarqueen")
    accept_password("zanzibarqueen-kpt", name="ann")


def test_one_time_passwords_are_accepted_and_differ() -> None:
    made = {one_time_password() for _ in range(20)}
    assert len(made) == 20
    for password in made:
        accept_password(password, name="admin")
