"""An OpenID Connect provider: what it publishes, where it lets people sign in, and whom its tokens name.

The authorization code flow with PKCE (RFC 7636), state and nonce, by OpenID Connect Core 1.0, section 3.1.
Every request to the provider goes through `core.outgoing`; authlib and joserfc speak the protocol.
"""

import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from core.errors import FetchFailed, SignInRefused, UnsafeAddress
from core.outgoing import Patience, ask
from core.settings import OidcSettings
from storage.people.failures import Reason

log = structlog.get_logger()

DISCOVERY = "/.well-known/openid-configuration"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LONGEST_ANSWER = 1024**2  # bytes
KEPT_SECONDS = 600.0  # what a provider publishes is asked for again after this long
LEEWAY_SECONDS = 60  # by which the provider's clock may differ from ours
MOST_GROUPS = 10_000
LONGEST_SUBJECT = 255  # characters, by OpenID Connect Core, section 2
FORM = "application/x-www-form-urlencoded"
# Claims that say for whom and by whom a token is.
OF_CLAIMS = {
    "iss": Reason.OIDC_ISSUER,
    "aud": Reason.OIDC_AUDIENCE,
    "azp": Reason.OIDC_AUDIENCE,
    "nonce": Reason.OIDC_NONCE,
    "exp": Reason.OIDC_EXPIRED,
}

# What a person reads; the log says more.
SENTENCES = {
    Reason.OIDC_STATE: "this browser did not begin it, or began it too long ago. Begin again",
    Reason.OIDC_DENIED: "it did not let you in",
    Reason.OIDC_UNREACHABLE: "it does not answer as it should. Try again later; the log names the cause",
    Reason.OIDC_CODE: "it did not stand by its own answer. Begin again",
    Reason.OIDC_SIGNATURE: "its answer is not signed with its keys",
    Reason.OIDC_ISSUER: "its answer names another issuer",
    Reason.OIDC_AUDIENCE: "its answer is for another service",
    Reason.OIDC_EXPIRED: "its answer has expired. Begin again",
    Reason.OIDC_NONCE: "its answer belongs to another sign-in. Begin again",
    Reason.OIDC_TOKEN: "its answer lacks something",
    Reason.OIDC_REPLAYED: "its answer was used before. Begin again",
    Reason.OIDC_NO_GROUP: "none of your groups has access here. Ask an admin which one does",
    Reason.OIDC_OTHER: "you signed in there as somebody else",
    Reason.OIDC_STALE: "it does not say that you gave your password just now",
    Reason.DISABLED: "your account here is disabled. Ask an admin",
}


@dataclass(frozen=True, kw_only=True)
class Start:
    """What ties the answer of the provider to the browser that was sent there. Random."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))  # of PKCE


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whom a verified ID token names."""

    issuer: str
    subject: str  # who it is at the issuer, for ever; nothing else identifies anybody
    name: str  # that the provider shows; anybody may have the same
    groups: frozenset[str]
    authenticated_at: datetime | None  # when they last gave their password there, if the provider says so


class Provider:
    """The provider that the settings name. Thread-safe."""

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._published: dict[str, tuple[float, dict[str, Any]]] = {}  # by address, with the time of asking
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        return self._settings.label

    def address(self, start: Start, *, redirect_uri: str, again: bool = False) -> str:
        """Where the browser is sent; with `again` the provider is to ask for the password in any case.

        Raises SignInRefused, as everything here does, with the reason.
        """
        further = {"prompt": "login", "max_age": "0"} if again else {}
        address: str = prepare_grant_uri(
            self._endpoint("authorization_endpoint"),
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=redirect_uri,
            scope=self._settings.scopes,
            state=start.state,
            nonce=start.nonce,
            code_challenge=create_s256_code_challenge(start.verifier),
            code_challenge_method="S256",
            **further,
        )
        return address

    def person(self, start: Start, *, code: str, redirect_uri: str) -> Person:
        """Redeem the code, and verify whom the ID token names."""
        answer = self._exchange(start, code, redirect_uri)
        claims = self._verified(start, answer)
        groups = self._claim(claims)
        further = self._userinfo(answer, claims["sub"]) if groups is None else {}
        name = self._settings.name_claim
        return Person(
            issuer=self._settings.issuer,
            subject=claims["sub"],
            name=str(claims.get(name) or further.get(name) or ""),
            groups=_names(self._claim(further) if groups is None else groups),
            authenticated_at=_moment(claims.get("auth_time")),
        )

    def _exchange(self, start: Start, code: str, redirect_uri: str) -> dict[str, Any]:
        secret = self._settings.client_secret
        body = prepare_token_request(
            "authorization_code", redirect_uri=redirect_uri, code=code, code_verifier=start.verifier
        )
        client = ClientAuth(
            self._settings.client_id,
            None if secret is None else secret.get_secret_value(),
            self._client_authentication(),
        )
        url, headers, body = client.prepare(
            "POST", self._endpoint("token_endpoint"), {"Content-Type": FORM}, body
        )
        status, answer = self._ask("POST", url, headers, body)
        if status >= 500:
            raise self._refused(Reason.OIDC_UNREACHABLE, url=url, status=status)
        if status != 200 or not isinstance(answer.get("id_token"), str):
            told = {"status": status, "error": str(answer.get("error", ""))[:200]}
            raise self._refused(Reason.OIDC_CODE, **told)
        return answer

    def _client_authentication(self) -> str:
        if self._settings.client_secret is None:
            return "none"
        ways = self._metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return "client_secret_basic" if "client_secret_basic" in ways else "client_secret_post"

    def _verified(self, start: Start, answer: Mapping[str, Any]) -> dict[str, Any]:
        settings = self._settings
        try:
            token = self._decoded(answer["id_token"])
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": settings.issuer},
                    "aud": {"essential": True, "value": settings.client_id},
                },
                params={
                    "nonce": start.nonce,
                    "client_id": settings.client_id,
                    "access_token": answer.get("access_token"),
                },
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except ExpiredTokenError as error:
            raise self._refused(Reason.OIDC_EXPIRED) from error
        except ClaimError as error:
            raise self._refused(OF_CLAIMS.get(error.claim, Reason.OIDC_TOKEN), claim=error.claim) from error
        except (JoseError, ValueError, TypeError) as error:
            raise self._refused(Reason.OIDC_SIGNATURE, error=str(error)[:200]) from error
        if not claims["sub"] or len(claims["sub"]) > LONGEST_SUBJECT:
            raise self._refused(Reason.OIDC_TOKEN, claim="sub")
        return dict(claims)

    def _decoded(self, token: str) -> jwt.Token:
        """The token, its signature verified; with keys asked for anew if those we know do not fit."""
        try:
            return jwt.decode(token, self._keys(), algorithms=ALGORITHMS)
        except (InvalidKeyIdError, BadSignatureError):
            return jwt.decode(token, self._keys(anew=True), algorithms=ALGORITHMS)

    def _keys(self, *, anew: bool = False) -> KeySet:
        url = self._endpoint("jwks_uri")
        keys = self._published_at(url, anew=anew).get("keys")
        if not isinstance(keys, list) or not keys:
            with self._lock:  # or nobody could sign in until it has aged
                self._published.pop(url, None)
            raise self._refused(Reason.OIDC_UNREACHABLE, missing="keys")
        return KeySet.import_key_set({"keys": keys})

    def _userinfo(self, answer: Mapping[str, Any], subject: str) -> dict[str, Any]:
        """Further claims, for providers that keep groups out of ID tokens."""
        url = self._metadata().get("userinfo_endpoint")
        token = answer.get("access_token")
        if not isinstance(url, str) or not isinstance(token, str):
            return {}
        status, claims = self._ask("GET", url, {"Authorization": f"Bearer {token}"})
        if status != 200:  # not to be taken for "no groups": that would end all that they have here
            raise self._refused(Reason.OIDC_UNREACHABLE, url=url, status=status)
        if claims.get("sub") != subject:
            raise self._refused(Reason.OIDC_TOKEN, claim="sub of the userinfo")
        return claims

    def _claim(self, claims: Mapping[str, Any]) -> Any:
        """The claim of the groups: by its name, or by the names on the way to it."""
        name = self._settings.groups_claim
        if name in claims:  # many are addresses, with dots of their own
            return claims[name]
        found: Any = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found

    def _metadata(self) -> dict[str, Any]:
        published = self._published_at(self._settings.issuer.rstrip("/") + DISCOVERY)
        if published.get("issuer") != self._settings.issuer:
            raise self._refused(Reason.OIDC_ISSUER, published=str(published.get("issuer"))[:200])
        return published

    def _endpoint(self, name: str) -> str:
        url = self._metadata().get(name)
        if not isinstance(url, str):
            raise self._refused(Reason.OIDC_UNREACHABLE, missing=name)
        try:
            self._settings.guard.target(url)
        except UnsafeAddress as error:
            raise self._refused(Reason.OIDC_UNREACHABLE, error=str(error)) from error
        return url

    def _published_at(self, url: str, *, anew: bool = False) -> dict[str, Any]:
        with self._lock:
            asked, known = self._published.get(url, (0.0, None))
        if known is not None and not anew and time.monotonic() - asked < KEPT_SECONDS:
            return known
        status, answer = self._ask("GET", url, {})
        if status != 200:
            raise self._refused(Reason.OIDC_UNREACHABLE, url=url, status=status)
        with self._lock:
            self._published[url] = time.monotonic(), answer
        return answer

    def _ask(
        self, method: str, url: str, headers: dict[str, str], body: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer."""
        guard, seconds = self._settings.guard, self._settings.total_seconds
        patience = Patience(silence_seconds=seconds, total_seconds=seconds)
        sent = {"Accept": "application/json"} | headers
        content = None if body is None else body.encode()
        try:
            with ask(method, guard.target(url), guard, patience, headers=sent, body=content) as answer:
                read = answer.read(LONGEST_ANSWER + 1)
            found = json.loads(read) if len(read) <= LONGEST_ANSWER else None
        except (FetchFailed, UnsafeAddress, ValueError, RecursionError) as error:
            raise self._refused(Reason.OIDC_UNREACHABLE, error=str(error)[:500]) from error
        if not isinstance(found, dict):
            raise self._refused(Reason.OIDC_UNREACHABLE, url=url, status=answer.status)
        return answer.status, found

    def _refused(self, why: Reason, **told: object) -> SignInRefused:
        log.warning("sign-in by the provider refused", why=why, issuer=self._settings.issuer, **told)
        return self.refused(why)

    def refused(self, why: Reason) -> SignInRefused:
        return SignInRefused(provider=self._settings.issuer, why=why, reason=SENTENCES[why])


def _names(claim: Any) -> frozenset[str]:
    """A list of names, or a single one."""
    listed = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(each for each in listed[:MOST_GROUPS] if isinstance(each, str))


def _moment(claim: Any) -> datetime | None:
    try:
        return None if claim is None else datetime.fromtimestamp(claim, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
