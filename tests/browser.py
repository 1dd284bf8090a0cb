"""How pages are looked at: their tags, and a headless Chromium through DevTools on two pipes."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from io import BytesIO, RawIOBase
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Browser:
    """One page at a time; everything that it asks for or complains of is kept.

    Attributes:
        complaints: errors of scripts and of the console.
        requests: every address asked for, the page's own among them.
    """

    def __init__(self, to: RawIOBase, answers: RawIOBase) -> None:
        self._to, self._from = to, answers
        self._number, self._rest, self._session = 0, b"", ""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._seen: set[str] = set()
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, path: Path) -> None:
        """Load a file and wait until it is drawn."""
        self._seen.clear()
        self._call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._seen:
            self._receive()
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))")

    def show(self, width: int, scheme: str = "light", media: str = "screen") -> None:
        """As a reader sees it: width in pixels, light or dark, on screen or printed."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)
        self.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 300)))")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        answer = self._call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def shown(self, selector: str) -> int:
        """How many elements are not hidden."""
        script = f"[...document.querySelectorAll({json.dumps(selector)})]"
        return int(self.evaluate(f"{script}.filter(element => element.offsetParent).length"))

    def pixels(self) -> np.ndarray:
        """Colours of what is in the window, (height, width, 3) from 0 to 1."""
        answer = self._call("Page.captureScreenshot")
        return matplotlib.image.imread(BytesIO(base64.b64decode(answer["data"])))[..., :3]

    def pictures(self, selector: str, ready: str = "element => true") -> list[np.ndarray]:
        """Colours of each element, as far as it is in the window when scrolled to.

        Args:
            selector: which elements.
            ready: whether one is drawn, a function in JavaScript.
        """
        found = []
        every = f"document.querySelectorAll({json.dumps(selector)})"
        for number in range(self.evaluate(f"{every}.length")):
            box = self.evaluate(
                f"""new Promise(done => {{
                    const element = {every}[{number}];
                    element.scrollIntoView({{block: "center"}});
                    const look = () => {{
                        if (!({ready})(element)) return setTimeout(look, 20);
                        const box = element.getBoundingClientRect();
                        done([box.top, box.bottom, box.left, box.right]);
                    }};
                    requestAnimationFrame(() => setTimeout(look, 50));
                }})"""
            )
            top, bottom, left, right = (max(round(edge), 0) for edge in box)
            found.append(self.pixels()[top:bottom, left:right])
        return found

    def pdf(self) -> bytes:
        """The page as it is printed."""
        self._call("Emulation.setEmulatedMedia", media="")
        return base64.b64decode(self._call("Page.printToPDF", preferCSSPageSize=True)["data"])

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._to.write(json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return dict(answer["result"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = self._from.read(2**20)
            assert block, "the browser ended"
            self._rest += block
        text, self._rest = self._rest.split(b"\0", 1)
        message = dict(json.loads(text))
        method, content = message.get("method", ""), message.get("params", {})
        self._seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(content["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(content["exceptionDetails"]))
        if method == "Runtime.consoleAPICalled" and content["type"] == "error":
            self.complaints.append(str(content["args"]))
        if method == "Log.entryAdded" and content["entry"]["level"] == "error":
            self.complaints.append(content["entry"]["text"])
        return message


class Tags(HTMLParser):
    """What a page consists of.

    Attributes:
        outside: every address that it asks for or leads to.
        links: places in itself that it leads to.
        names: ids of its elements.
        open: tags that are not closed.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.links: list[str] = []
        self.names: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for key, value in attrs:
            if key == "id":
                self.names.append(str(value))
            if key == "href" and tag == "a" and str(value).startswith("#"):
                self.links.append(str(value)[1:])
            elif key in ("src", "href", "xlink:href") and not str(value).startswith(("data:", "#")):
                self.outside.append(str(value))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "br"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def found() -> str:
    """`BENCH_BROWSER`, which must be there if it is set, or a Chromium in the path."""
    wanted = os.environ.get("BENCH_BROWSER")
    if wanted:
        assert shutil.which(wanted), f"BENCH_BROWSER={wanted}: no such program"
        return wanted
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    there = next((name for name in names if shutil.which(name)), None)
    return there or pytest.skip("no Chromium here; BENCH_BROWSER names one")


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser of its own, with an empty profile."""
    # It reads file descriptor 3 and writes to 4.
    read, to = os.pipe()
    answers, write = os.pipe()
    command = f'exec "$0" "$@" 3<&{read} 4>&{write}'
    process = subprocess.Popen(
        ["bash", "-c", command, found(), *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(read, write), stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(read)
    os.close(write)
    try:
        with os.fdopen(to, "wb", 0) as send, os.fdopen(answers, "rb", 0) as receive:
            yield Browser(send, receive)
    finally:
        process.terminate()
        process.wait(30)
