"""The process that reads C2PA manifests: one for a file that seems to have one, in the decoder's sandbox.

A manifest is a stranger's bytes, and what reads it a large library. So it cannot open, reach or change
anything, has its limits, and whatever becomes of it, the video is judged all the same.

    caller -> process   one line of JSON: descriptor, media type, limits, certificates that are trusted
    process -> caller   one line of JSON: "store", the manifest store as C2PA's library tells it, or "error"
"""

import json
import os
import sys
from contextlib import closing
from io import FileIO

import c2pa

from worker.decoder.sandbox import lockdown

# No address that a file names is asked for anything.
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    lockdown.die_with_parent(request["parent"])
    anchors = request["trust_anchors"]
    trust = {"trust": {"trust_anchors": anchors}} if anchors else {}
    context = c2pa.Context.from_dict(OFFLINE | trust)
    # Callbacks need executable memory, which is refused later: this stream's page has room for the others.
    with FileIO(request["file"], "rb") as file, closing(c2pa.Stream(file)):
        lockdown.lock_down(memory_bytes=request["memory_bytes"], cpu_seconds=request["cpu_seconds"])
        answer = _read(file, request["media_type"], context)
        os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")
        os._exit(0)  # nothing is left to tidy up, and much of it would be refused


def _read(file: FileIO, media_type: str, context: c2pa.Context) -> dict[str, object]:
    try:
        return {"store": json.loads(c2pa.Reader(media_type, file, context=context).json())}
    except MemoryError:
        return {"error": "it takes too much memory"}
    except (c2pa.C2paError, ValueError, RecursionError, OSError) as error:
        return {"error": f"{type(error).__name__.lstrip('_')}: {error}"[:500]}


if __name__ == "__main__":
    main()
