"""A headless Chromium, spoken to by its DevTools protocol over a pipe: no driver, no socket, no further package."""

import base64
import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAM = "chromium"
_LONGEST_S = 60.0


class Chromium:
    """One browser with one page. `console` holds errors and exceptions, `asked` every address but the page's own."""

    def __init__(self, profile: Path) -> None:
        reads, self._write = os.pipe()
        self._read, writes = os.pipe()
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ]
        flags += ["--no-first-run", "--disable-extensions", "--hide-scrollbars", f"--user-data-dir={profile}"]
        # The protocol wants file descriptors 3 and 4; the shell moves ours there.
        moved = f'exec 3<&{reads} 4>&{writes}; exec {PROGRAM} "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", moved, PROGRAM, *flags, "about:blank"],
            pass_fds=(reads, writes),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._left, self._number, self._session = b"", 0, ""
        self.console: list[str] = []
        self.asked: list[str] = []
        self._page = ""
        target = next(it for it in self.send("Target.getTargets")["targetInfos"] if it["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._read)
        os.close(self._write)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command, and its answer; AssertionError where the browser refuses it."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + _LONGEST_S
        while True:
            found = self._next(until)
            if found.get("id") == number:
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, media: str = "") -> None:
        """Open a file in a window of a size and theme, and wait until its script has run."""
        self.console.clear()
        self.asked.clear()
        self._page = page.resolve().as_uri()
        self.show(width=width, height=height, dark=dark, media=media)
        self.send("Page.navigate", url=self._page)
        until = time.monotonic() + _LONGEST_S
        while self.value("document.readyState === 'complete' && document.documentElement.dataset.ready") != "yes":
            assert time.monotonic() < until, f"{page} is not ready: {self.console}"
            time.sleep(0.05)

    def show(self, *, width: int = 1280, height: int = 900, dark: bool = False, media: str = "") -> None:
        """Another window size, theme or medium for the page that is open."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        theme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.send("Emulation.setEmulatedMedia", media=media, features=theme)

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to; AssertionError where it throws."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """One key, down and up, on what has the focus."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            spoken = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **spoken)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A screenshot as PNG, of the whole page or of the window."""
        found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        if whole:
            size = self.send("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
            found = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        path.write_bytes(base64.b64decode(found["data"]))

    def print(self, path: Path) -> None:
        """The page on paper, as PDF."""
        found = self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._read], [], [], max(until - time.monotonic(), 0))
            assert ready, "the browser does not answer"
            read = os.read(self._read, 1 << 20)
            assert read, "the browser has ended"
            self._left += read
        line, _, self._left = self._left.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        self._note(found.get("method", ""), found.get("params", {}))
        return found

    def _note(self, method: str, said: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.console.append(str(said["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.console.append(str(said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.console.append(said["entry"]["text"])
        elif method == "Network.requestWillBeSent" and said["request"]["url"] != self._page:
            self.asked.append(said["request"]["url"])
