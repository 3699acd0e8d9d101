"""One attempt to send an event, signed by the Standard Webhooks scheme. No redirect is followed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from standardwebhooks import Webhook

from core.errors import InputError
from core.outgoing import Guard, Patience, ask
from storage.webhooks.deliveries import Parcel

GONE = 410
BUSY = (429, 503)
AGENT = "facewarden-webhooks"
LONGEST_RETRY_AFTER = 24 * 3600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Outcome:
    http_status: int | None = None  # None: there was no answer
    error: str | None = None  # None: the receiver has it
    retry_after_seconds: float = 0.0  # that a busy receiver asks for


def signed(parcel: Parcel, moment: datetime) -> dict[str, str]:
    """The headers by which the receiver knows the sender and a repetition."""
    signatures = (
        Webhook(secret).sign(parcel.message_id, moment.astimezone(UTC), parcel.body)
        for secret in parcel.secrets
    )
    return {
        "Content-Type": "application/json",
        "User-Agent": AGENT,
        "webhook-id": parcel.message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def send(parcel: Parcel, guard: Guard, patience: Patience) -> Outcome:
    """Send it once. Raises nothing that the receiver or its address could cause."""
    try:
        target = guard.target(parcel.url)
        headers = signed(parcel, datetime.now(UTC))
        with ask("POST", target, guard, patience, headers=headers, body=parcel.body.encode()) as answer:
            status = answer.status
            wanted = answer.headers.get("Retry-After", "")
    except InputError as error:
        return Outcome(error=str(error))
    if 200 <= status < 300:
        return Outcome(http_status=status)
    reason = "; redirects are not followed" if 300 <= status < 400 else ""
    seconds = float(wanted) if status in BUSY and wanted.isdecimal() and len(wanted) < 9 else 0.0
    return Outcome(
        http_status=status,
        error=f"the receiver answered {status}{reason}",
        retry_after_seconds=min(seconds, LONGEST_RETRY_AFTER),
    )
