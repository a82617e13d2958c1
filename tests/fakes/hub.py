"""The local stand-in for the Hub, as a process that ends with the test session."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()


def shared_folder() -> Path | None:
    """The folder with the stand-in and its data: BENCHPROOF_SHARED, else `shared` beside the checkout."""
    folder = Path(os.environ.get("BENCHPROOF_SHARED") or HERE.parents[3] / "shared")
    return folder if (folder / "hub" / "hub.py").is_file() else None


def need_shared() -> Path:
    """The shared folder, or the test is skipped and says why."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("no stand-in for the Hub: set BENCHPROOF_SHARED to the folder that holds hub/hub.py")
    return folder


@contextmanager
def local_hub(
    root: Path | None = None,
    log: Path | None = None,
    *,
    gated: Sequence[str] = (),
    token: str | None = None,
    state: Path | None = None,
) -> Iterator[str]:
    """The address of a running stand-in; `root` instead of its own data sets. Ends only the process it started.

    gated: repositories whose files need `token`. state: where commits land.
    """
    script = need_shared() / "hub" / "hub.py"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(script), "--port", str(port)]
    command += ["--root", str(root)] if root else []
    command += ["--log", str(log)] if log else []
    command += ["--token", token] if token else []
    command += ["--state", str(state)] if state else []
    command += [word for name in gated for word in ("--gated", name)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, process)
            yield address
        finally:
            process.terminate()


def hub_environment(address: str, home: Path, **more: str) -> dict[str, str]:
    """The environment of a subprocess that reads from a stand-in: libraries read HF_* when they are imported."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    return kept | {
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",  # small models, shared cores: more threads only wait for each other
        **more,
    }


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{address}/api/whoami-v2", timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None:
                raise RuntimeError("the stand-in for the Hub did not start") from None
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the stand-in for the Hub does not answer")
