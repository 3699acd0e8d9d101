"""Every error that Facewarden raises on purpose.

The docstring of an error is the message a user reads: it names the input and the remedy,
with the fields of the error filled in.

    FacewardenError
    |-- PermanentError                trying again gives the same answer
    |   |-- InputError                the input is at fault: stored on the video as `code`
    |   |   |-- EmptyFile             empty_file
    |   |   |-- NotMedia              not_media
    |   |   |-- UnsupportedMedia      unsupported_media
    |   |   |-- NoVideoStream         no_video_stream
    |   |   |-- Encrypted             encrypted
    |   |   |-- BrokenMedia           broken_media
    |   |   |-- MediaTooLarge         media_too_large
    |   |   |-- TooCostly             too_costly
    |   |   |-- FileVanished          file_vanished
    |   |   |-- ObjectDamaged         object_damaged
    |   |   |-- Unreadable            unreadable
    |   |   |-- UnsafePath            unsafe_path
    |   |   |-- UnsafeAddress         unsafe_address
    |   |   |-- FetchFailed           fetch_failed
    |   |   |-- BrokenPlaylist        broken_playlist
    |   |   `-- DecoderKilled         decoder_killed
    |   |       `-- DecoderShot       decoder_shot: killed from outside, worth another try
    |   |-- WeightsError              weights_error
    |   |-- SettingsError             settings_error
    |   |-- NotFound                  not_found
    |   |-- InvalidQuery              invalid_query
    |   |-- InvalidValue              invalid_value
    |   |   |-- WeakPassword          weak_password
    |   |   |-- KeyReused             key_reused
    |   |   |-- BadHashList           bad_hash_list
    |   |   `-- BadAuditFile          bad_audit_file
    |   |-- UnknownHost               unknown_host
    |   |-- Conflict                  conflict
    |   |   `-- HeldByAnother         held_by_another
    |   |-- AccessError               access_error
    |   |   |-- NotSignedIn           not_signed_in
    |   |   |-- SignInFailed          sign_in_failed
    |   |   |-- SignInRefused         sign_in_refused
    |   |   |-- NotAllowed            not_allowed
    |   |   |-- ByUrlOff              by_url_off
    |   |   |-- StreamsOff            streams_off
    |   |   |-- SessionOnly           session_only
    |   |   |-- TokenTooWeak          token_too_weak
    |   |   |-- PasswordNeeded        password_needed
    |   |   |-- PasswordMustChange    password_must_change
    |   |   |-- HiddenUntilDecided    hidden_until_decided
    |   |   `-- ForgedRequest         forged_request
    |   |-- ServerRefused             server_refused: what the client was answered
    |   |-- QueueServerFailed         queue_server_failed
    |   |-- SchemaTooNew              schema_too_new
    |   |-- Cancelled                 cancelled: stored on the video, as are the next one's
    |   `-- AttemptsExhausted         attempts_exhausted
    `-- RetryableError                a later try can succeed
        |-- ServiceUnavailable        service_unavailable
        |-- CheckpointMissing         checkpoint_missing: of a model version that was promoted
        |-- ObjectStoreError          object_store_error
        |   |-- BucketUnavailable     bucket_unavailable: throttled, or no answer
        |   |-- BucketRefused         bucket_refused: no such bucket, no credentials, or not allowed
        |   `-- ScratchFull           scratch_full
        |-- ServerBusy                server_busy: what the client was answered
        |-- NotYetScreened            not_yet_screened
        |-- DeadlineExceeded          deadline_exceeded
        |-- TooManySignIns            too_many_sign_ins
        |-- TooManyStreams            too_many_streams
        |-- TooManyUploads            too_many_uploads
        |-- QueueFull                 queue_full
        |-- TooManyFetches            too_many_fetches
        `-- StaleAttempt              stale_attempt: a newer attempt owns the row, drop the work
"""

from typing import Any, ClassVar

from core import media_formats


class FacewardenError(Exception):
    """Facewarden stopped: {reason}."""

    code: ClassVar[str] = "error"

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        super().__init__(fields)

    def __str__(self) -> str:
        text = " ".join((type(self).__doc__ or "").split())
        # A control character in a hostile file name must not forge lines in a log or a terminal.
        return text.format_map({name: printable(value) for name, value in self.fields.items()})


def printable(value: object) -> str:
    """`value` as text on one line, control characters escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in str(value)
    )


class PermanentError(FacewardenError):
    """Facewarden cannot go on: {reason}."""

    code = "permanent"


class RetryableError(FacewardenError):
    """Facewarden could not finish and will try again: {reason}."""

    code = "retryable"


class InputError(PermanentError):
    """{name}: this input cannot be screened: {reason}."""

    code = "input_error"


class EmptyFile(InputError):
    """{name}: the file is empty (0 bytes). Upload it again; the copy may have been cut off."""

    code = "empty_file"


class NotMedia(InputError):
    """{name}: this is not a video or image that Facewarden recognises ({reason}).
    Supported: {supported}."""

    code = "not_media"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"supported": media_formats.names(), **fields})


class UnsupportedMedia(InputError):
    """{name}: {reason} is not on the list of allowed formats and codecs. {remedy}"""

    code = "unsupported_media"

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"remedy": media_formats.VIDEO_REMEDY, **fields})


class NoVideoStream(InputError):
    """{name}: it contains no pictures, only {streams}. Facewarden screens only pictures."""

    code = "no_video_stream"


class Encrypted(InputError):
    """{name}: the pictures are encrypted ({scheme}) and cannot be decoded without the key.
    Decrypt the file, or get a copy without copy protection."""

    code = "encrypted"


class BrokenMedia(InputError):
    """{name}: no frame could be decoded ({reason}). Export or upload the file again."""

    code = "broken_media"


class MediaTooLarge(InputError):
    """{name}: {quantity} is {value}, above the limit of {limit}. {remedy}"""

    code = "media_too_large"

    def __init__(self, **fields: Any) -> None:
        """`setting` names what allows more; left out or empty where nothing does."""
        setting = fields.get("setting")
        raised = f"Raise {setting} if such inputs are expected." if setting else "Split it into parts."
        super().__init__(**{"remedy": raised, **fields})


class TooCostly(InputError):
    """{name}: {quantity} exceeds what a file of this size may cost ({limit}). It was probably made to
    waste resources; if not, raise {setting}."""

    code = "too_costly"


class FileVanished(InputError):
    """{name}: there is no such file, or it is gone. Check its name, or upload it again."""

    code = "file_vanished"


class ContentErased(InputError):
    """{name}: this content was erased on {at} and is not taken in again. If it should be, run
    `facewarden readmit {sha256}`."""

    code = "content_erased"


class OriginalErased(FileVanished):
    """{name}: the file was erased on {at}, as its days were over; its verdict is kept. Upload it again to
    look at it or to screen it again."""

    code = "original_erased"


class ObjectDamaged(InputError):
    """{name}: what the object store holds is not what was stored (its SHA-256 differs). Upload the file
    again, or restore the object from a backup."""

    code = "object_damaged"


class Unreadable(InputError):
    """{name}: the file cannot be read ({reason}). Give Facewarden permission to read it;
    the bucket is retried every minute."""

    code = "unreadable"


class UnsafePath(InputError):
    """{name}: refused because {reason}. Give Facewarden the file itself."""

    code = "unsafe_path"


class UnsafeAddress(InputError):
    """{name}: this address is not asked because {reason}. {remedy}"""

    code = "unsafe_address"


class FetchFailed(InputError):
    """{name}: it could not be fetched ({reason}). Check the address and that its server answers, and try
    again."""

    code = "fetch_failed"


class BrokenPlaylist(InputError):
    """{name}: what its server answers is no playlist of a stream ({reason}). Give the address of an HLS
    playlist (.m3u8), or one that begins with rtmp://."""

    code = "broken_playlist"


class DecoderKilled(InputError):
    """{name}: the decoder was stopped because {reason}. {remedy}"""

    code = "decoder_killed"


class DecoderShot(DecoderKilled):
    """{name}: the decoder was stopped because {reason}. {remedy}"""

    code = "decoder_shot"


class WeightsError(PermanentError):
    """{path}: these weights cannot be used: {reason}."""

    code = "weights_error"


class SettingsError(PermanentError):
    """{setting}: {reason}."""

    code = "settings_error"


class NotFound(PermanentError):
    """{what} {key} was not found."""

    code = "not_found"


class InvalidQuery(PermanentError):
    """{parameter}: {reason}. Correct it and ask again."""

    code = "invalid_query"


class InvalidValue(PermanentError):
    """{field}: {reason}."""

    code = "invalid_value"


class WeakPassword(InvalidValue):
    """This password is too easy to guess ({reason}).
    Use four or five unrelated words, or let a password manager generate one."""

    code = "weak_password"


class KeyReused(InvalidValue):
    """{field}: this key came with other content before. Take a new key for each upload, and the same one only
    to repeat an upload that may have failed."""

    code = "key_reused"


class BadHashList(InvalidValue):
    """{name}, {place}: {reason}. Nothing was imported."""

    code = "bad_hash_list"


class BadAuditFile(InvalidValue):
    """{name}, {place}: {reason}. It is no file of `facewarden audit export`, or was changed since."""

    code = "bad_audit_file"


class UnknownHost(PermanentError):
    """{host} is not a name of this service. Use the name it is set up for, or add this one to
    FACEWARDEN_REVIEW__HOSTS."""

    code = "unknown_host"


class Conflict(PermanentError):
    """{what} {key}: {reason}."""

    code = "conflict"


class HeldByAnother(Conflict):
    """{what} {key} is claimed by another reviewer until {until}. Pick another one, or wait."""

    code = "held_by_another"


class AccessError(PermanentError):
    """You may not do this: {reason}."""

    code = "access_error"


class NotSignedIn(AccessError):
    """You are not signed in. Sign in, or send an API token in the header `Authorization: Bearer …`."""

    code = "not_signed_in"


class SignInFailed(AccessError):
    """The name or the password is wrong, or the account is disabled."""

    code = "sign_in_failed"


class SignInRefused(AccessError):
    """Signing in at {provider} did not work: {reason}."""

    code = "sign_in_refused"


class NotAllowed(AccessError):
    """{name} may not do this: it takes {needed}. Ask an admin."""

    code = "not_allowed"


class ByUrlOff(AccessError):
    """Nothing is fetched by its address here. An operator can allow it: FACEWARDEN_BY_URL__ENABLED=true."""

    code = "by_url_off"


class StreamsOff(AccessError):
    """No streams are watched here. An operator can allow it: FACEWARDEN_STREAMS__ENABLED=true."""

    code = "streams_off"


class SessionOnly(AccessError):
    """An API token cannot do this. Sign in with a browser, or use `facewarden account` on the machine."""

    code = "session_only"


class TokenTooWeak(AccessError):
    """This token may not create that one: {reason}.
    Sign in with a browser, or use `facewarden token create`."""

    code = "token_too_weak"


class PasswordNeeded(AccessError):
    """This needs your password again: enter it at /confirm, or POST it to /v1/confirmation, and retry within
    {minutes} minutes."""

    code = "password_needed"


class PasswordMustChange(AccessError):
    """{name} still has a one-time password. Set a new one first."""

    code = "password_must_change"


class HiddenUntilDecided(AccessError):
    """You review in blind mode: what the machine found is shown once you have decided."""

    code = "hidden_until_decided"


class ForgedRequest(AccessError):
    """This request did not come from a page of this session ({reason}). Reload the page."""

    code = "forged_request"


class ServerRefused(PermanentError):
    """{name}: {detail} (HTTP {status}, {problem})"""

    code = "server_refused"


class QueueServerFailed(PermanentError):
    """The embedded queue server did not start ({reason}). {remedy}. Its log is {log}."""

    code = "queue_server_failed"


class Cancelled(PermanentError):
    """{name}: {actor} cancelled the screening. Screen it again, or upload it again."""

    code = "cancelled"


class SchemaTooNew(PermanentError):
    """The database at {address} has been migrated to revision {found}. This release ends at revision {known},
    and the schema takes one that knows revision {oldest}: install the newer release here too."""

    code = "schema_too_new"


class AttemptsExhausted(PermanentError):
    """{name}: gave up after {attempts} attempts; the last one failed with: {reason}.
    Screen it again once the cause is fixed."""

    code = "attempts_exhausted"


class ServiceUnavailable(RetryableError):
    """{service} at {address} does not answer ({reason}). Start it or correct {setting}."""

    code = "service_unavailable"


class CheckpointMissing(RetryableError):
    """{version} was promoted to screen videos, but its checkpoint is not in {folder}. Copy it there on this
    machine, or, while it is the one that was promoted last, undo that with `facewarden models rollback`."""

    code = "checkpoint_missing"


class ObjectStoreError(RetryableError):
    """The object store failed on {key}: {reason}."""

    code = "object_store_error"


class BucketUnavailable(ObjectStoreError):
    """The bucket {bucket} at {endpoint} does not answer for {key} ({reason}). Start the server or correct
    FACEWARDEN_S3__ENDPOINT_URL; if it limits requests, run fewer workers."""

    code = "bucket_unavailable"


class BucketRefused(ObjectStoreError):
    """The bucket {bucket} at {endpoint} refused {operation} of {key} ({reason}). Check FACEWARDEN_OBJECTS
    or FACEWARDEN_BUCKET, the region, the credentials and what they allow."""

    code = "bucket_refused"


class ScratchFull(ObjectStoreError):
    """{key} of {size} bytes does not fit in {folder} ({reason}). Free space there, raise
    FACEWARDEN_S3__SCRATCH_BYTES, or choose another folder with FACEWARDEN_S3__SCRATCH."""

    code = "scratch_full"


class ServerBusy(RetryableError):
    """{name}: {detail} It was tried {attempts} times. (HTTP {status}, {problem})"""

    code = "server_busy"


class NotYetScreened(RetryableError):
    """{name}: not screened within {seconds} s; its status is {status}. Wait longer, or ask for it later."""

    code = "not_yet_screened"


class DeadlineExceeded(RetryableError):
    """{name}: the job exceeded its deadline of {seconds} s.
    Raise FACEWARDEN_WORKER__JOB_SECONDS if your videos are long."""

    code = "deadline_exceeded"


class TooManySignIns(RetryableError):
    """Too many sign-ins. Try again in {seconds} s."""

    code = "too_many_sign_ins"


class TooManyStreams(RetryableError):
    """{name} already has {limit} streams of live updates open, the most for one account. Close other tabs, or
    raise FACEWARDEN_REVIEW__STREAMS_PER_ACCOUNT; the page tries again in {seconds} s."""

    code = "too_many_streams"


class TooManyUploads(RetryableError):
    """{name} has sent {limit} uploads within a minute, the most for one account. Try again in {seconds} s, or
    raise FACEWARDEN_REVIEW__UPLOADS_PER_MINUTE."""

    code = "too_many_uploads"


class TooManyFetches(RetryableError):
    """{limit} addresses are being fetched, the most at once. Try again in {seconds} s, or raise
    FACEWARDEN_BY_URL__AT_ONCE."""

    code = "too_many_fetches"


class QueueFull(RetryableError):
    """{waiting} screenings of priority {priority} are waiting, and from {limit} on no more are taken. Try
    again in {seconds} s, start more workers, or raise FACEWARDEN_REVIEW__QUEUE_LIMIT."""

    code = "queue_full"


class StaleAttempt(RetryableError):
    """Attempt {attempt} of {work} has been superseded; its result is dropped."""

    code = "stale_attempt"
