"""`facewarden health`: asks the process on this machine, or in this container, whether it is ready."""

import json
import urllib.error
import urllib.request

from core.errors import ServiceUnavailable, SettingsError
from core.settings import SignsSettings

ANSWER_SECONDS = 8.0  # its own checks of the services may take some
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104  where who listens there is found


def ask(signs: SignsSettings) -> None:
    """Return if the process is ready.

    Raises ServiceUnavailable where it is not, or does not answer, and SettingsError where no port is set.
    """
    if not signs.port:
        reason = "the process shows no signs of life; give it a port, such as 9400"
        raise SettingsError(setting="FACEWARDEN_SIGNS__PORT", reason=reason)
    address = f"http://{EVERYWHERE.get(signs.host, signs.host)}:{signs.port}/readyz"
    request = urllib.request.Request(address)
    if signs.token is not None:
        request.add_header("Authorization", f"Bearer {signs.token.get_secret_value()}")
    # A proxy of the environment is for what lies outside.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=ANSWER_SECONDS).close()
    except urllib.error.HTTPError as error:
        raise _unready(address, _missing(error)) from error
    except OSError as error:
        raise _unready(address, str(getattr(error, "reason", error))) from error


def _missing(error: urllib.error.HTTPError) -> str:
    """What the process says is missing, as far as it tells us."""
    try:
        checks = json.load(error).get("checks", {})
    except (OSError, ValueError, AttributeError):
        checks = {}
    missing = "; ".join(f"{name}: {said}" for name, said in checks.items() if said != "ok")
    return missing or f"it answers {error.code}"


def _unready(address: str, reason: str) -> ServiceUnavailable:
    return ServiceUnavailable(
        service="A ready process", address=address, reason=reason, setting="FACEWARDEN_SIGNS__PORT"
    )
