"""A small OpenID Connect provider: real HTTP on loopback, real signatures, and all that one can do wrong."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from tests.loopback import served
from tests.ports import free_port

CLIENT_ID, CLIENT_SECRET = "facewarden", "the client's secret"


def new_key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@dataclass(kw_only=True)
class OidcProvider:
    """Lets everybody in at once, as the person that `claims` tells of."""

    port: int = field(default_factory=free_port)
    host: str = "127.0.0.1"  # by which it is known
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "4711", "preferred_username": "Ann Smith"})
    userinfo: dict[str, Any] = field(default_factory=dict)
    forge: Callable[[str], str] = str  # what it makes of an ID token
    key: ECKey = field(default_factory=lambda: new_key("one"))  # by which it signs
    keys: list[ECKey] = field(
        default_factory=list
    )  # that it publishes; without any it is the one it signs by
    published: dict[str, Any] = field(default_factory=dict)  # of the discovery document, beyond
    body: bytes | None = None  # of every answer, in place of the right one
    instead: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)  # other answers, by path
    asked: list[dict[str, str]] = field(default_factory=list)  # at the authorization endpoint
    codes: dict[str, dict[str, str]] = field(
        default_factory=dict
    )  # handed out; never used up, unlike real ones
    paths: list[str] = field(default_factory=list)  # asked for by the service, not by browsers

    @property
    def issuer(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "roles": {"moderators": "reviewer", "leads": "admin", "guests": "viewer"},
            "plain_http": True,
            "private_networks": "127.0.0.0/8,::1/128",
            "total_seconds": 30,
        }

    def groups(self, *names: str) -> None:
        self.claims["groups"] = list(names)

    def authorize(self, query: str) -> str:
        """Where the browser is sent back to."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256"), asked
        assert asked["client_id"] == CLIENT_ID
        assert "openid" in asked["scope"].split()
        self.asked.append(asked)
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        told = {"code": code, "state": asked["state"], "iss": self.issuer}
        return f"{asked['redirect_uri']}?{urlencode(told)}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self.codes.get(form.get("code", ""))
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            authorization != f"Basic {basic}"
            or asked is None
            or form["redirect_uri"] != asked["redirect_uri"]
            or base64.urlsafe_b64encode(challenge).decode().rstrip("=") != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"auth_time": now} if "max_age" in asked else {}
        claims |= self.claims
        header = {"alg": "ES256", "kid": self.key.kid or ""}
        signed = jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, self.key)
        return 200, {
            "access_token": "of the userinfo",
            "token_type": "Bearer",
            "id_token": self.forge(signed),
        }

    def answer(self, path: str, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.paths.append(path)
        if path in self.instead:
            return self.instead[path]
        match path:
            case "/.well-known/openid-configuration":
                places = {
                    "authorization_endpoint": "authorize",
                    "token_endpoint": "token",
                    "jwks_uri": "keys",
                }
                document = {name: f"{self.issuer}/{place}" for name, place in places.items()}
                document |= {"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo else {}
                return 200, {"issuer": self.issuer} | document | self.published
            case "/keys":
                return 200, {"keys": [each.as_dict(private=False) for each in self.keys or [self.key]]}
            case "/token":
                return self.token(form, authorization)
            case "/userinfo" if authorization == "Bearer of the userinfo":
                return 200, self.userinfo
        return 404, {}

    @contextmanager
    def up(self) -> Iterator[None]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(parts.query))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self._tell({})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self._tell({name: values[0] for name, values in parse_qs(body).items()})

            def _tell(self, form: dict[str, str]) -> None:
                status, told = provider.answer(self.path, form, self.headers.get("Authorization", ""))
                body = json.dumps(told).encode() if provider.body is None else provider.body
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        with served(self.port, Handler):
            yield
