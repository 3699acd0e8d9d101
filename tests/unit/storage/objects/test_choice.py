"""Who keeps objects in a folder does not wait for what only S3 needs."""

import subprocess
import sys
from pathlib import Path


def test_a_folder_loads_no_library_of_s3(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from core.settings import Settings\n"
        "from storage.objects.choice import open_store\n"
        f"store = open_store(Settings(home={str(tmp_path)!r}, _env_file=None))\n"
        "store.read(store.put_bytes(b'x'))\n"
        "print(type(store).__name__, {'boto3', 'botocore'} & set(sys.modules))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout == "FolderStore set()\n"
