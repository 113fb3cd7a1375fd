"""Opens a page in Debian's headless chromium over its debugging pipe and tells all that went on.

>>> with Chromium() as browser:
...     visit = browser.visit(path, scheme="dark", width=400)
>>> visit.requests, visit.complaints
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs

CHROMIUM = shutil.which("chromium")
_TIMEOUT = 60.0
# chromium talks over descriptors 3 and 4; both are moved out of the way first, as either may be one of them
_LAUNCH = """
import fcntl, os, sys
theirs = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
os.dup2(theirs[0], 3)
os.dup2(theirs[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


@attrs.define
class Visit:
    """A page that was opened: what it asked for beside itself, what the console said, what scripts found."""

    url: str
    requests: list[str] = attrs.field(factory=list)
    complaints: list[str] = attrs.field(factory=list)
    found: Any = None
    screenshot: bytes = b""
    pdf: bytes = b""


class Chromium:
    """One browser process with a profile of its own, closed on leaving."""

    def __enter__(self) -> Chromium:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        read_theirs, write_ours = os.pipe()
        read_ours, write_theirs = os.pipe()
        self._read, self._write = read_ours, write_ours
        assert CHROMIUM is not None
        options = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage "
            f"--disable-background-networking --remote-debugging-pipe --user-data-dir={self._profile.name}"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(read_theirs), str(write_theirs), CHROMIUM, *options.split()],
            pass_fds=(read_theirs, write_theirs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_theirs)
        os.close(write_theirs)
        self._buffer = b""
        self._number = 0
        self._events: list[dict[str, Any]] = []
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("Browser.close")
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._read)
            os.close(self._write)
            self._profile.cleanup()

    def visit(
        self,
        path: Path,
        *,
        scheme: str = "light",
        width: int = 1200,
        script: str = "null",
        capture: bool = False,
    ) -> Visit:
        """Opens a file in a new tab, evaluates ``script``, and optionally takes a picture and a print."""
        url = path.resolve().as_uri()
        visit = Visit(url)
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._events.clear()
        for domain in ("Page", "Network", "Log", "Runtime"):
            self._call(f"{domain}.enable", session)
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", session, features=media)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", session, **size)
        self._call("Page.navigate", session, url=url)
        self._wait_for("Page.loadEventFired")
        result = self._call(
            "Runtime.evaluate", session, expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        visit.found = result["result"].get("value")
        if capture:
            shot = self._call("Page.captureScreenshot", session, captureBeyondViewport=True)
            visit.screenshot = base64.b64decode(shot["data"])
            visit.pdf = base64.b64decode(
                self._call("Page.printToPDF", session, preferCSSPageSize=True)["data"]
            )
        self._call("Target.closeTarget", targetId=target)
        for event in self._events:
            _note(event, visit)
        return visit

    def _call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._events.append(answer)

    def _wait_for(self, method: str) -> None:
        while not any(event.get("method") == method for event in self._events):
            self._events.append(self._next())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + _TIMEOUT
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._read, 1 << 20) if ready else b""
            assert data, "chromium went silent"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def _note(event: dict[str, Any], visit: Visit) -> None:
    """Requests other than the page itself (``data:`` never leaves it), and whatever the console shows."""
    params = event.get("params", {})
    match event.get("method"):
        case "Network.requestWillBeSent":
            url = params["request"]["url"]
            if url != visit.url and not url.startswith("data:"):
                visit.requests.append(url)
        case "Runtime.consoleAPICalled":
            visit.complaints.append(str(params["args"]))
        case "Runtime.exceptionThrown":
            visit.complaints.append(str(params["exceptionDetails"]))
        case "Log.entryAdded":
            visit.complaints.append(params["entry"]["text"])
