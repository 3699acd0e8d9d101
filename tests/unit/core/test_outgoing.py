"""Whatever an address looks like, only public ones are connected to."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import outgoing
from core.errors import FetchFailed, UnsafeAddress
from core.outgoing import Guard, Patience, ask, is_public, networks_of, ports_of
from tests.ports import free_port

PUBLIC = Guard(ports=frozenset({80, 443}))
LOOPBACK = Guard(networks=networks_of("127.0.0.0/8"))
PATIENCE = Patience(silence_seconds=5, total_seconds=10)

REFUSED_BEFORE_A_LOOK = {
    "ftp://example.com/a.mp4": "does not begin with",
    "file:///etc/passwd": "does not begin with",
    "gopher://example.com/_GET": "does not begin with",
    "concat:http://example.com/a|http://example.com/b": "does not begin with",
    "data:video/mp4;base64,AAAA": "does not begin with",
    "subfile,,start,0,end,9,,:/etc/passwd": "does not begin with",
    "//example.com/a.mp4": "does not begin with",
    "http:/example.com": "does not begin with",
    "http:///a.mp4": "does not begin with",
    "": "does not begin with",
    "http://user@example.com/": "a user name or a password",
    "http://user:secret@example.com/": "a user name or a password",
    "http://127.0.0.1:80@example.com/": "a user name or a password",
    "http://@example.com/": "a user name or a password",
    "http://example.com:22/": "port 22",
    "http://example.com:0/": "port 0",
    "http://example.com:99999/": "ort",
    "http://example.com:x/": "ort",
    "http://exa mple.com/": "blanks",
    "http://example.com/\r\nHost: x": "blanks",
    "http://example.com\\@127.0.0.1/": "blanks",
    "http://2130706433/": "not written a.b.c.d",
    "http://017700000001/": "not written a.b.c.d",
    "http://0x7f000001/": "not written a.b.c.d",
    "http://0177.0.0.1/": "not written a.b.c.d",
    "http://0x7f.0.0.1/": "not written a.b.c.d",
    "http://127.1/": "not written a.b.c.d",
    "http://127.0.0.1.1/": "not written a.b.c.d",
    "http://1.1.1.01/": "not written a.b.c.d",
    "http://%31%32%37.0.0.1/": "no name",
    "http://exa$mple.com/": "no name",
    "http://.example.com/": "no name",
    "http://[::1/": "",
    "http://[v1.x]/": "",
    "http://[fe80::1%25eth0]/": "",
    "http://" + "a" * 64 + ".com/": "no name",
    "http://example.com/" + "a" * 2000: "longer than",
}


@pytest.mark.parametrize("url", REFUSED_BEFORE_A_LOOK)
def test_addresses_that_are_not_even_looked_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _never)
    with pytest.raises(UnsafeAddress, match="this address is not asked because") as refusal:
        PUBLIC.addresses(PUBLIC.target(url))
    assert REFUSED_BEFORE_A_LOOK[url] in str(refusal.value)
    assert "secret" not in str(refusal.value)


def _never(*args: object, **kwargs: object) -> object:
    raise AssertionError("it was looked up")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104  refused
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",  # metadata of AWS, Google, Azure and others
        "169.254.170.2",  # of containers
        "100.100.100.200",  # of Alibaba
        "192.0.0.192",  # of Oracle
        "168.63.129.16",  # Azure's host service
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[fd00:ec2::254]",  # metadata of AWS
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "localhost",
        "LOCALHOST",
        "ⓛocalhost",
        "\N{FULLWIDTH DIGIT ONE}27.0.0.\N{FULLWIDTH DIGIT ONE}",
    ],
)
def test_what_is_not_public_is_refused_at_the_connection(host: str) -> None:
    target = PUBLIC.target(f"http://{host}/latest/meta-data/")
    with (
        pytest.raises(UnsafeAddress, match="which is not public"),
        ask("GET", target, PUBLIC, PATIENCE),
    ):
        pytest.fail("it was asked")


@pytest.mark.parametrize(
    "found", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["fd00::1", "93.184.216.34"]], ids=" ".join
)
def test_a_name_that_leads_to_a_private_address_is_refused(
    found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(0, 0, 0, "", (each, 80)) for each in found])
    with pytest.raises(UnsafeAddress, match="which is not public"):
        PUBLIC.addresses(PUBLIC.target("https://rebound.example.com/"))


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """One connection, answered; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            thread.join()


def test_a_name_is_resolved_once_so_that_rebinding_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked is connected to: a second look-up would be told another address."""
    answers = iter(["127.0.0.1"])  # a second look-up fails the test
    real: Any = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, port, **__: real(next(answers), port, type=1))
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with server(answer) as port:
        target = LOOPBACK.target(f"http://rebound.example.com:{port}/a?b=c%20d")
        with ask("GET", target, LOOPBACK, PATIENCE) as got:
            assert (got.status, got.read()) == (200, b"ok")
    assert heard[0].startswith(b"GET /a?b=c%20d HTTP/1.1\r\nHost: rebound.example.com:")
    assert b"Authorization" not in heard[0]


def test_a_server_that_drips_is_cut_off() -> None:
    """A socket's own timeout would begin anew with each byte."""
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not done.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    patience = Patience(silence_seconds=5, total_seconds=0.4)
    with server(drip) as port:
        target = LOOPBACK.target(f"http://127.0.0.1:{port}/")
        try:
            with (
                pytest.raises(FetchFailed, match=r"no end after 0\.4 s"),
                ask("GET", target, LOOPBACK, patience) as got,
            ):
                got.read()
        finally:
            done.set()


def test_a_name_with_many_dead_addresses_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would be waited for anew."""
    tried: list[str] = []
    now = 0.0

    class Dead(socket.socket):
        def settimeout(self, value: float | None) -> None:
            self.patience = value or 0.0

        def connect(self, address: Any) -> None:
            nonlocal now
            tried.append(address[0])
            now += self.patience
            raise TimeoutError("timed out")

    monkeypatch.setattr(outgoing, "monotonic", lambda: now)
    monkeypatch.setattr(socket, "socket", Dead)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 80)) for last in range(1, 200)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    target = LOOPBACK.target("http://many.example/")
    with pytest.raises(FetchFailed, match="in time"), ask("GET", target, LOOPBACK, PATIENCE):
        pytest.fail("it answered")
    assert tried == ["127.0.0.1", "127.0.0.2"]
    with pytest.raises(FetchFailed):
        outgoing.connect(target, LOOPBACK, PATIENCE)
    assert len(tried) == 4


def test_nobody_listens() -> None:
    port = free_port()
    target = LOOPBACK.target(f"http://127.0.0.1:{port}/")
    with pytest.raises(FetchFailed, match="refused"), ask("GET", target, LOOPBACK, PATIENCE):
        pytest.fail("it was asked")


def test_a_server_that_hangs_up() -> None:
    with server(lambda connection: connection.close()) as port:
        target = LOOPBACK.target(f"http://127.0.0.1:{port}/")
        with pytest.raises(FetchFailed), ask("GET", target, LOOPBACK, PATIENCE):
            pytest.fail("it answered")


def test_a_redirect_is_relative_to_where_it_was_given() -> None:
    base = PUBLIC.target("https://example.com/a/b?c")
    assert PUBLIC.target("../d", base=base).name == "https://example.com/d"
    assert PUBLIC.target("//other.example/x", base=base).name == "https://other.example/x"
    assert PUBLIC.target("https://münchen.example/ä", base=base).host == "xn--mnchen-3ya.example"


def test_public_ones_pass() -> None:
    for host in ("1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::101:101"):
        assert is_public(ip_address(host))


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="127.0.0.0/8"))
def test_no_wrapping_makes_a_private_address_public(address: Any) -> None:
    number = int(address)
    for prefix in ("::ffff:0:0", "64:ff9b::", "::"):
        assert not is_public(ip_address(int(ip_address(prefix)) + number))
    assert not is_public(ip_address(int(ip_address("2002::")) + (number << 80)))


def test_lists_of_networks_and_ports() -> None:
    assert networks_of("10.0.0.0/8, fd00::/8") == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert ports_of("80, 443") == {80, 443}
    for text in ("0", "65536", "http"):
        with pytest.raises(ValueError, match=r"."):
            ports_of(text)
