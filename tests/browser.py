"""A real browser for tests: headless Chromium, told what to do through the pipe of its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 60.0
"""After which a browser that does not answer is given up."""


class Browser:
    """One process; :meth:`open` gives pages. To be closed."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4. Without a sandbox, since tests may run as root.
        command = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        arguments = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", "--disable-extensions", "--disable-background-networking",
                     f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]  # fmt: skip
        self._process = subprocess.Popen(
            ["bash", "-c", command, "browser", *arguments],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._count = 0
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Ask the browser for something and wait for its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, path: Path, scripts: bool = True) -> Page:
        """A page in a tab of its own, loaded to its end.

        Args:
            scripts: whether the page's own may run.
        """
        self.events.clear()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable", session)
        page = Page(self, session)
        page.go(path.as_uri(), scripts)
        return page

    def wait_for(self, method: str, after: int = 0) -> None:
        """Until an event of a kind is among those after the first so many."""
        while not any(event.get("method") == method for event in self.events[after:]):
            self.events.append(self._receive())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._in)
        os.close(self._out)

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            piece = os.read(self._in, 1 << 16)
            assert piece, "the browser has ended"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))


class Page:
    """An open page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def go(self, address: str, scripts: bool = True) -> None:
        """Load another page in this tab."""
        before = len(self._browser.events)
        self._browser.call("Emulation.setScriptExecutionDisabled", self._session, value=not scripts)
        self._browser.call("Page.navigate", self._session, url=address)
        self._browser.wait_for("Page.loadEventFired", before)

    def click(self, selector: str) -> None:
        """Click on what a selector finds first, as a person does, and wait for the page that it leads to."""
        before = len(self._browser.events)
        event = "new MouseEvent('click', {bubbles: true, cancelable: true})"  # elements of SVG have no click()
        self.evaluate(f"document.querySelector({json.dumps(selector)}).dispatchEvent({event})")
        self._browser.wait_for("Page.loadEventFired", before)

    def resize(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Be a screen of so many pixels, light or dark."""
        self._browser.call("Emulation.setDeviceMetricsOverride", self._session, width=width, height=height,
                           deviceScaleFactor=1, mobile=False)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._browser.call("Emulation.setEmulatedMedia", self._session, features=[scheme])

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        found = self._browser.call("Page.captureScreenshot", self._session, captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def requests(self) -> list[str]:
        """The addresses of all that was asked for since the tab was opened."""
        self.evaluate("1")
        asked = (event for event in self._browser.events if event.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in asked]

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page; the page's own policy does not bind it."""
        found = self._browser.call("Runtime.evaluate", self._session, expression=script, returnByValue=True,
                                   awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """What the browser said of the page: errors, refusals of its policy, messages on its console, dialogs."""
        self.evaluate("1")  # whatever was said before has then arrived
        told = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening")
        return [json.dumps(event["params"]) for event in self._browser.events if event.get("method") in told]
