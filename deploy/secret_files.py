"""Makes the secrets that compose.yaml reads from files: `python3 deploy/secret_files.py FOLDER`.

It needs nothing but Python, so that it runs before anything is built. What is there already is kept: running
it again changes no password. The folder is closed to everybody else (0700). The files within it are readable
(0444), because each is mounted alone into containers that run as users of their own.
"""

import json
import secrets
import sys
from pathlib import Path

BYTES = 32  # of randomness in each password


def make(folder: Path) -> list[Path]:
    """Write the files that are missing; returns all. Raises OSError where the folder cannot be written."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    valkey = _password(folder / "valkey_password")
    postgres = _password(folder / "postgres_password")
    key, secret = _password(folder / "s3_access_key"), _password(folder / "s3_secret_key")
    for name in ("signs_token", "grafana_password"):
        _password(folder / name)
    credentials = {"accessKey": key, "secretKey": secret}
    derived = {
        "valkey.conf": f"requirepass {valkey}\nappendonly yes\nmaxmemory-policy noeviction\n",
        "redis_url": f"redis://:{valkey}@valkey:6379/0",
        "database_url": f"postgresql+psycopg://facewarden:{postgres}@postgres:5432/facewarden",
        "s3.json": json.dumps(
            {"identities": [{"name": "facewarden", "credentials": [credentials], "actions": ["Admin"]}]}
        ),
        "s3_credentials": f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n",
    }
    for name, text in derived.items():
        _kept(folder / name, text)
    return sorted(folder.iterdir())


def _password(path: Path) -> str:
    return _kept(path, secrets.token_hex(BYTES))


def _kept(path: Path, text: str) -> str:
    """What the file says; if there is none, the text, which it then says."""
    if path.exists():
        return path.read_text().strip()
    path.write_text(text)
    path.chmod(0o444)
    return text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python3 deploy/secret_files.py FOLDER")
    for made in make(Path(sys.argv[1])):
        sys.stdout.write(f"{made}\n")
