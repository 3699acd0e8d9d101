"""Connections to addresses that somebody else chose: only to public ones, however they are written.

A name is resolved once; what it resolves to is checked, and exactly that is connected to, so that a name that
changes between check and connection (DNS rebinding) gains nothing. A redirect is followed only by `follow`,
which checks each address as the first one; no proxy is asked, and no credentials are sent.

    guard = Guard(schemes=frozenset({"https"}))
    with ask("GET", guard.target("https://example.com/clip.mp4"), guard, patience) as answer:
        answer.status
"""

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from time import monotonic
from urllib.parse import quote, urljoin, urlsplit

from core.errors import FetchFailed, UnsafeAddress

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2000  # characters
PORTS = {"http": 80, "https": 443, "rtmp": 1935, "rtmps": 443}
WEB = frozenset({"http", "https"})
ENCRYPTED = frozenset({"https", "rtmps"})
REDIRECTS = (301, 302, 303, 307, 308)
NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
# The last part of a name that C libraries read as (a part of) an IPv4 address: 127.1, 0177.0.0.1, 0x7f000001.
NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
NAT64 = ip_network("64:ff9b::/96")  # an IPv4 address is in its last 32 bits
REFUSED = tuple(
    ip_network(network)
    for network in (
        "168.63.129.16/32",  # public by number, but inside Azure the host's own service
        "192.0.0.0/24",  # of protocols; older releases of Python call most of it global
        "192.88.99.0/24",  # relays from IPv6 to IPv4
        "2002::/16",  # 6to4, which wraps any IPv4 address
        "2001::/23",  # Teredo, which does so as well, and other protocols
        "64:ff9b:1::/48",  # translation to IPv4 inside a network
        "3fff::/20",  # of documents
        "5f00::/16",  # of routers
    )
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """An address that has passed `Guard.target`. Whether its host is public shows when it is connected to."""

    scheme: str  # of PORTS
    host: str  # ASCII; an IPv6 address without brackets
    port: int
    path: str  # with the query; begins with /

    @property
    def name(self) -> str:
        """What messages call it: without the query, which may hold a signature."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path.partition('?')[0]}"


@dataclass(frozen=True, kw_only=True)
class Patience:
    silence_seconds: float  # for a connection to open, and between two pieces of the answer
    total_seconds: float  # for everything; a name that resolves slowly is not cut short, but counts


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Which addresses may be connected to."""

    schemes: frozenset[str] = WEB
    ports: frozenset[int] | None = None  # None: any
    networks: tuple[Network, ...] = ()  # allowed though they are not public
    remedy: str = "Use a public address."

    def target(self, url: str, *, base: Target | None = None) -> Target:
        """What `url` asks for; a redirect's may be relative to `base`. Raises UnsafeAddress."""
        if base is not None:
            url = urljoin(base.name, url)
        shown = url.partition("?")[0][:LONGEST_URL]
        if len(url) > LONGEST_URL:
            raise self._refused(shown, f"it is longer than {LONGEST_URL} characters")
        if any(not char.isprintable() or char in " \\" for char in url):
            raise self._refused(shown, "it holds blanks, backslashes or control characters")
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname or ""
        except ValueError as error:
            raise self._refused(shown, str(error)) from error
        if ("[" in parts.netloc) != (":" in host):
            raise self._refused(shown, "what is in brackets is no IPv6 address")
        if parts.username is not None or parts.password is not None:
            raise self._refused(f"{parts.scheme}://…@{host}", "it carries a user name or a password")
        if parts.scheme not in self.schemes or not parts.netloc:
            raise self._refused(shown, f"it does not begin with {' or '.join(sorted(self.schemes))}://")
        port = PORTS[parts.scheme] if port is None else port
        if port == 0 or (self.ports is not None and port not in self.ports):
            raise self._refused(shown, f"port {port} is not among those allowed")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
        return Target(scheme=parts.scheme, host=self._host(host, shown), port=port, path=path + query)

    def addresses(self, target: Target) -> list[Address]:
        """What the host resolves to, all of it allowed. Raises UnsafeAddress, FetchFailed."""
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise FetchFailed(name=target.name, reason=f"the name does not resolve: {error}") from error
        addresses = list(dict.fromkeys(ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
        for address in addresses:
            if not self.allows(address):
                raise self._refused(target.name, f"it leads to {address}, which is not public")
        return addresses

    def allows(self, address: Address) -> bool:
        inner = _inner(address)
        return is_public(inner) or any(inner in network for network in self.networks)

    def _host(self, host: str, shown: str) -> str:
        if ":" in host:
            try:
                address = IPv6Address(host)
            except ValueError as error:
                raise self._refused(shown, "its host is no IPv6 address") from error
            if address.scope_id is not None:
                raise self._refused(shown, "its host belongs to an interface of this machine")
            return str(address)
        try:
            ascii_host = host.encode("idna").decode("ascii").lower()
        except UnicodeError as error:
            raise self._refused(shown, "its host is no name") from error
        if not NAME.fullmatch(ascii_host):
            raise self._refused(shown, "its host is no name")
        if NUMERIC.fullmatch(ascii_host.rstrip(".").rpartition(".")[2]):
            try:
                return str(IPv4Address(ascii_host))
            except ValueError as error:
                raise self._refused(shown, "its host is a number, but not written a.b.c.d") from error
        return ascii_host

    def _refused(self, name: str, reason: str) -> UnsafeAddress:
        return UnsafeAddress(name=name, reason=reason, remedy=self.remedy)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it does."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether an address belongs to the open internet: not to this machine, its networks, or to nobody."""
    address = _inner(address)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not (isinstance(address, IPv6Address) and address.is_site_local)
        and not any(address in network for network in REFUSED)
    )


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks, separated by commas. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def ports_of(text: str) -> frozenset[int]:
    """Ports, separated by commas. Raises ValueError."""
    ports = frozenset(int(part) for part in text.split(",") if part.strip())
    if not all(0 < port < 65536 for port in ports):
        raise ValueError("ports are numbers from 1 to 65535")
    return ports


@contextmanager
def ask(
    method: str,
    target: Target,
    guard: Guard,
    patience: Patience,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Iterator[http.client.HTTPResponse]:
    """One request; the answer's body is read within the `with`.

    Raises UnsafeAddress, and FetchFailed where the server is away, breaks off or is too slow, also inside the
    `with`.
    """
    late, ends = threading.Event(), monotonic() + patience.total_seconds
    try:
        with (
            closing(_dial(guard.addresses(target), target.port, patience, ends)) as dialled,
            _deadline(dialled, max(ends - monotonic(), 0.001), late),
            closing(_connection(target, dialled, patience)) as connection,
        ):
            connection.request(method, target.path, body=body, headers=dict(headers or {}))
            with connection.getresponse() as answer:
                yield answer
    except (OSError, http.client.HTTPException) as error:
        reason = f"no end after {patience.total_seconds:g} s" if late.is_set() else _reason(error)
        raise FetchFailed(name=target.name, reason=reason) from error
    if late.is_set():  # an answer without a length ends like a complete one where the connection is cut
        raise FetchFailed(name=target.name, reason=f"no end after {patience.total_seconds:g} s")


@contextmanager
def follow(
    target: Target,
    guard: Guard,
    patience: Patience,
    *,
    redirects: int,
    headers: Mapping[str, str] | None = None,
    status: int = 200,
) -> Iterator[tuple[Target, http.client.HTTPResponse]]:
    """The answer at the end of all redirects, each of which is checked as the first address was, and where
    it came from.

    Args:
        redirects: most of them that are followed.
        status: of the answer that is wanted; another one is a failure.

    Raises UnsafeAddress, and FetchFailed, also inside the `with`; its field `status` tells what the server
    answered, if it did.
    """
    first, ends = target, monotonic() + patience.total_seconds
    for _ in range(redirects + 1):
        left = max(ends - monotonic(), 0.001)
        still = Patience(silence_seconds=patience.silence_seconds, total_seconds=left)
        with ask("GET", target, guard, still, headers=headers) as answer:
            if answer.status == status:
                yield target, answer
                return
            if answer.status not in REDIRECTS:
                reason = f"its server answers {answer.status}"
                raise FetchFailed(name=target.name, reason=reason, status=answer.status)
            where = answer.headers.get("Location", "")
        target = guard.target(where, base=target)
    raise FetchFailed(name=first.name, reason=f"it redirects more than {redirects} times")


def connect(target: Target, guard: Guard, patience: Patience) -> socket.socket:
    """A connection to what `target` names, encrypted where its scheme says so, for a protocol of its own.

    It is dialled within `total_seconds`, and each later wait ends after `silence_seconds`.

    Raises UnsafeAddress, FetchFailed.
    """
    try:
        ends = monotonic() + patience.total_seconds
        dialled = _dial(guard.addresses(target), target.port, patience, ends)
        if target.scheme not in ENCRYPTED:
            return dialled
        return _trust().wrap_socket(dialled, server_hostname=target.host)
    except OSError as error:
        raise FetchFailed(name=target.name, reason=_reason(error)) from error


def _dial(addresses: list[Address], port: int, patience: Patience, ends: float) -> socket.socket:
    """The first address that answers. A name may have hundreds that do not: after `ends` none is tried."""
    failure: OSError = OSError("it has no address")
    for address in addresses:
        left = ends - monotonic()
        if left <= 0:
            break
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        dialled = socket.socket(family, socket.SOCK_STREAM)
        dialled.settimeout(min(patience.silence_seconds, left))
        try:
            dialled.connect((str(address), port))
            dialled.settimeout(patience.silence_seconds)
        except OSError as error:
            dialled.close()
            failure = error
        else:
            return dialled
    raise failure


@contextmanager
def _deadline(dialled: socket.socket, seconds: float, late: threading.Event) -> Iterator[None]:
    """Cut the connection after `seconds`: a timeout of the socket begins anew with every byte."""
    handle = dialled.dup()  # TLS takes the first object's descriptor away

    def cut() -> None:
        late.set()
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        handle.close()


def _connection(target: Target, dialled: socket.socket, patience: Patience) -> http.client.HTTPConnection:
    seconds = patience.silence_seconds
    if target.scheme == "http":
        connection = http.client.HTTPConnection(target.host, target.port, timeout=seconds)
        connection.sock = dialled
    else:
        connection = http.client.HTTPSConnection(target.host, target.port, timeout=seconds, context=_trust())
        connection.sock = _trust().wrap_socket(dialled, server_hostname=target.host)
    connection.auto_open = 0  # it must never connect by itself
    return connection


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
