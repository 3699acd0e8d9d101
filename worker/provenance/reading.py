"""The provenance of a file: its marks, and its C2PA manifest as the process beside this reads it.

C2PA's specification (spec.c2pa.org) names the states and the codes of what does not hold.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from core.media_formats import UNKNOWN_TYPE, format_of
from core.media_signatures import HEAD_BYTES
from core.provenance import LONGEST_TEXT, MOST_ENTRIES, Manifest, ManifestState, Provenance
from core.settings import ProvenanceSettings
from worker.provenance import marks

# Isolated from the caller's folder and environment, as the decoder is.
COMMAND = (sys.executable, "-I", "-B", "-m", "worker.provenance.process")
ENVIRONMENT = ("LD_LIBRARY_PATH", "LANG", "LC_ALL")
MOST_BYTES = 4 * 1024**2  # of its answer; one entry for each edit of the file, with thumbnails left out

_STATES = {"Trusted": ManifestState.TRUSTED, "Valid": ManifestState.VALID, "Invalid": ManifestState.INVALID}
UNTRUSTED = "signingCredential.untrusted"  # says that nobody vouches for the signer, not that it is broken


def read_provenance(path: Path, settings: ProvenanceSettings, command: Sequence[str] = COMMAND) -> Provenance:
    """What the file says about where it comes from; whatever is wrong with it is a part of the answer.

    It is only read. One that has gone meanwhile says nothing.
    """
    try:
        file = FileIO(os.fspath(path), "rb")
    except OSError:
        return Provenance()
    with file:
        seen = marks.look(file)
        manifest = None
        if seen.manifest:
            manifest = _manifest(file, settings, command)
        elif seen.elsewhere:
            manifest = Manifest(state=ManifestState.ELSEWHERE)
    return Provenance(manifest=manifest, source_types=seen.source_types, generators=seen.generators)


def _manifest(file: FileIO, settings: ProvenanceSettings, command: Sequence[str]) -> Manifest | None:
    """None where there is none: what looked like one was something else."""
    answer = _asked(file, settings, command)
    store, error = answer.get("store"), str(answer.get("error", ""))
    if "ManifestNotFound" in error:
        return None
    if not isinstance(store, dict):
        return Manifest(state=ManifestState.UNREADABLE, problems=(_text(error or "no answer"),))
    try:
        return _told(store)
    except (KeyError, TypeError, AttributeError, ValueError) as fault:  # the library knows another shape
        return Manifest(state=ManifestState.UNREADABLE, problems=(_text(f"{type(fault).__name__}: {fault}"),))


def _asked(file: FileIO, settings: ProvenanceSettings, command: Sequence[str]) -> dict[str, Any]:
    """The process's answer; an `error` of ours where it has none."""
    found = format_of(os.pread(file.fileno(), HEAD_BYTES, 0))
    request = {
        "file": file.fileno(),
        "media_type": UNKNOWN_TYPE if found is None else found.media_type,
        "parent": os.getpid(),
        "memory_bytes": settings.memory_bytes,
        "cpu_seconds": settings.cpu_seconds,
        "trust_anchors": settings.trust_anchors.read_text() if settings.trust_anchors else "",
    }
    # Not through a shell; `command` is ours.
    process = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=(file.fileno(),),
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        cwd="/",
        start_new_session=True,
    )
    try:
        words, _ = process.communicate(json.dumps(request).encode() + b"\n", 4 * settings.cpu_seconds)
    except subprocess.TimeoutExpired:
        return {"error": f"it took more than {4 * settings.cpu_seconds} s"}
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode == -signal.SIGXCPU:
        return {"error": f"it took more than {settings.cpu_seconds} s of CPU time"}
    try:
        answer = json.loads(words[:MOST_BYTES])
    except (ValueError, RecursionError):
        return {"error": f"its reader ended without an answer ({process.returncode})"}
    return answer if isinstance(answer, dict) else {"error": "its reader's answer makes no sense"}


def _told(store: Mapping[str, Any]) -> Manifest:
    """What the manifest store says, by its newest manifest and those that this was made from."""
    newest = store["manifests"][store["active_manifest"]]
    signature = newest.get("signature_info") or {}
    actions = list(_actions(store["manifests"].values()))
    problems = [str(each["code"]) for each in store.get("validation_status") or ()]
    return Manifest(
        state=_STATES[store["validation_state"]],
        signer=_text(signature.get("issuer")) or None,
        claim_generator=_text(_generator(newest)) or None,
        signed_at=_text(signature.get("time")) or None,
        actions=_list(action["action"] for action in actions),
        source_types=_list(
            str(action["digitalSourceType"]).rpartition("/")[2]
            for action in actions
            if "digitalSourceType" in action
        ),
        problems=_list(code for code in problems if code != UNTRUSTED),
    )


def _generator(manifest: Mapping[str, Any]) -> str:
    """The name and version of the software, as the manifest of either version of the format has it."""
    for each in manifest.get("claim_generator_info") or ():
        return f"{each['name']} {each.get('version', '')}".strip()
    return str(manifest.get("claim_generator") or "")


def _actions(manifests: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for manifest in manifests:
        for assertion in manifest.get("assertions") or ():
            if str(assertion.get("label", "")).startswith("c2pa.actions"):
                yield from assertion["data"]["actions"]


def _list(texts: Iterable[object]) -> tuple[str, ...]:
    """Each once, bounded in number and length: a stranger wrote them."""
    return tuple(dict.fromkeys(_text(each) for each in texts))[:MOST_ENTRIES]


def _text(value: object) -> str:
    """On one line, without control characters, not too long."""
    shown = "".join(each if each.isprintable() else " " for each in str(value or ""))
    return shown[:LONGEST_TEXT].strip()
