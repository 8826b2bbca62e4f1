"""Shared by the browser tests: Debian's Chromium with JupyterLab and Notebook 7, and real kernels of this .venv.

A *visit* is a page in a separate browser context that records its requests and errors. A *notebook page* is a visit to a
notebook; a test can also talk to its kernel directly, without the page.
"""

import ast
import base64
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import nbformat
import numpy as np
import psutil
import pytest
import websocket
from conftest import seeded_database
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

TIMEOUT_S = 60  # of every wait
Front = Literal["lab", "notebook"]
Theme = Literal["light", "dark"]
PANEL = "jupyterapp.shell.currentWidget"  # the open notebook, in both front ends

FOLDERS = ["JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]
FOLDERS += ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
HARMLESS = [  # errors of every page of Notebook 7, also without widgets; both come from its own bundle
    r"^TypeError: Cannot read properties of undefined \(reading 'schema'\)\n.*/static/notebook/notebook_core",  # its settings
    r"^Error: Command 'filebrowser:open-path' not registered\.\n.*/static/notebook/notebook_core",  # it has no file browser
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one test module: tests cannot run their own event loop while Playwright runs."""
    with launched() as browser:
        yield browser


@contextmanager
def launched(*flags: str) -> Iterator[Browser]:
    """Debian's Chromium, or Chrome."""
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    assert found, "Chromium is not installed: apt-get install chromium"
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=found[0], args=[*FLAGS, *flags])) as browser,
    ):
        yield browser


class Visit:
    """A page in a separate browser context, its requests and its errors."""

    def __init__(self, chromium: Browser, home: str, **options: Any) -> None:
        self.home = home
        self.requests: list[str] = []
        self.warnings: list[str] = []
        self._errors: list[str] = []
        self.context = chromium.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
        self.context.set_default_timeout(TIMEOUT_S * 1000)
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("console", self._on_console)
        self.context.on("weberror", lambda error: self._errors.append(error.error.stack or str(error.error)))
        self.context.on("page", lambda page: page.on("websocket", lambda line: self.requests.append(line.url)))
        self.page = self.context.new_page()

    def _on_console(self, message: ConsoleMessage) -> None:
        messages = {"error": self._errors, "warning": self.warnings}.get(message.type, [])
        messages.append(f"{message.text} ({message.location['url']})")

    @property
    def errors(self) -> list[str]:
        """Console errors and uncaught exceptions, except those that Jupyter always logs."""
        self.page.evaluate("0")  # earlier messages arrive before this answer
        return [error for error in self._errors if not any(re.search(pattern, error) for pattern in HARMLESS)]

    @property
    def foreign_requests(self) -> list[str]:
        """The addresses outside of its home that the page requested."""
        own = (self.home, self.home.replace("http", "ws", 1), "blob:", "data:")
        return [address for address in self.requests if not address.startswith(own)]

    def screenshot(self, path: Path) -> None:
        """Save the visible page as a PNG."""
        self.page.screenshot(path=path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error:
            error.add_note(f"Errors of the page: {self._errors or 'nothing'}")
        self.context.close()


@pytest.fixture
def offline_page(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a local file without network access: ``offline_page(path)``."""
    with ExitStack() as visits:

        def opened(path: Path, *, theme: Theme = "light", width: int = 1280, height: int = 900, scale: float = 1) -> Visit:
            options = {"offline": True, "color_scheme": theme, "device_scale_factor": scale}
            visit = Visit(chromium, path.as_uri(), viewport={"width": width, "height": height}, **options)
            visits.enter_context(visit).page.goto(visit.home)
            return visit

        yield opened


class Jupyter:
    """A running Jupyter server: its address, its token, its folders and its log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.token = secrets.token_hex(16)
        self.url = ""
        self.root.mkdir()

    @property
    def log(self) -> str:
        """The output of the server and its kernels."""
        return (self.folder / "log").read_text()

    def ask(self, path: str, method: str = "GET") -> Any:
        """A response of the server's REST interface."""
        head = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(self.url + path, method=method, headers=head)
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            return json.loads(response.read() or "null")

    def set(self, plugin: str, **settings: Any) -> None:
        """Set user settings for every page that is opened from now on."""
        path = self.folder / "JUPYTERLAB_SETTINGS_DIR" / f"{plugin}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))

    def environment(self) -> dict[str, str]:
        """The environment without user settings, and with the seeded database."""
        users = ("JUPYTER", "JPY_", "IPYTHON", "PYTEST_", "TOKENVIS_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(users)}
        for name in FOLDERS:
            env[name] = str(self.folder / name)
        return env | {"TOKENVIS_DATABASE": str(seeded_database())}

    def command(self) -> list[str]:
        """The start command: on a free port, on this machine only, and without update checks."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": port,
            "ServerApp.root_dir": self.root,
            "ServerApp.jpserver_extensions": "{'jupyterlab': True, 'notebook': True}",
            "IdentityProvider.token": self.token,
            "LabApp.news_url": None,
            "LabApp.check_for_updates_class": "jupyterlab.handlers.announcements.NeverCheckForUpdate",
            "LabApp.expose_app_in_browser": True,
            "JupyterNotebookApp.expose_app_in_browser": True,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", *words]


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A Jupyter server in a temporary folder, which serves JupyterLab and Notebook 7."""
    with served(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@contextmanager
def served(folder: Path) -> Iterator[Jupyter]:
    """A Jupyter server in this folder."""
    server = Jupyter(folder)
    server.set("@jupyterlab/apputils-extension/notification", fetchNews="false", checkForUpdates=False)
    with (server.folder / "log").open("wb") as out, running(server, out) as process:
        wait_for(server, process)
        yield server


@contextmanager
def running(server: Jupyter, out: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """The server's process; on exit, it and its kernels, which have separate process groups, are ended."""
    process = subprocess.Popen(
        server.command(), cwd=server.root, env=server.environment(), stdout=out, stderr=out, start_new_session=True
    )
    try:
        yield process
    finally:
        kernels = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.terminate()  # it ends its own kernels, if it can
        _, left = psutil.wait_procs(kernels, timeout=20)
        for member in [process, *left]:
            member.kill()
        process.wait()


def wait_for(server: Jupyter, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the server answers; it writes its address to a file before it listens."""
    written = server.folder / "JUPYTER_RUNTIME_DIR" / f"jpserver-{process.pid}.json"
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with suppress(FileNotFoundError, json.JSONDecodeError, urllib.error.URLError):
            server.url = json.loads(written.read_text())["url"]
            server.ask("api/status")
            return
        assert process.poll() is None, f"The Jupyter server has ended:\n{server.log}"
        assert time.monotonic() < deadline, f"The Jupyter server does not start:\n{server.log}"
        time.sleep(0.05)


class NotebookPage(Visit):
    """An open notebook in JupyterLab or Notebook 7; its kernel ends with the visit."""

    def __init__(self, chromium: Browser, jupyter: Jupyter, path: Path, **options: Any) -> None:
        super().__init__(chromium, jupyter.url, **options)
        self.jupyter = jupyter
        self.path = path

    def wait(self) -> None:
        """Wait until the notebook is shown, with or without a kernel."""
        current = "window.jupyterapp?.shell.currentWidget?.context?.path"
        self.page.wait_for_function(f"name => {current} === name", arg=self.path.name)
        self._await(f"{PANEL}.revealed")

    def wait_for_kernel(self) -> None:
        """Wait until the kernel is idle."""
        self.page.wait_for_function(f"() => {PANEL}.sessionContext.session?.kernel?.status === 'idle'")

    def _await(self, promise: str) -> None:
        """Wait for a promise of the page, with a timeout, which `evaluate` does not have."""
        limit = f"new Promise((_, fail) => setTimeout(() => fail(Error('not done in {TIMEOUT_S} s')), {TIMEOUT_S * 1000}))"
        self.page.evaluate(f"() => Promise.race([{promise}, {limit}]).then(() => null)")

    def command(self, name: str) -> None:
        """Run a command of the front end, by its name in JupyterLab, until it is done."""
        self._await(f"jupyterapp.commands.execute({name!r})")

    def start(self, cell_number: int) -> None:
        """Run a cell as the menu does, without waiting; `finish` waits."""
        select = "panel.content.deselectAll(); panel.content.activeCellIndex = number"
        run = "panel.ran = jupyterapp.commands.execute('notebook:run-cell')"
        self.page.evaluate(f"number => {{ const panel = {PANEL}; {select}; {run} }}", cell_number)

    def finish(self, cell_number: int) -> None:
        """Wait for the end of the last started cell; fails if the cell has failed."""
        self._await(f"{PANEL}.ran")
        failed = [output for output in self.outputs(cell_number) if output["output_type"] == "error"]
        assert not failed, "\n".join(failed[0]["traceback"])

    def run(self, cell_number: int) -> None:
        """Run a cell, by number from 0, until its outputs are there; fails if the cell fails."""
        self.start(cell_number)
        self.finish(cell_number)

    def outputs(self, cell_number: int) -> list[dict[str, Any]]:
        """The outputs of a cell, as they would be saved."""
        return self.page.evaluate(f"n => {PANEL}.content.widgets[n].model.outputs.toJSON()", cell_number)

    def output(self, cell_number: int) -> Locator:
        """The element with the outputs of a cell."""
        return self.page.locator(f'.jp-Notebook [data-windowed-list-index="{cell_number}"] .jp-Cell-outputArea')

    def save(self) -> dict[str, Any]:
        """Save the notebook, and return the contents of its file."""
        self.command("docmanager:save")
        return json.loads(self.path.read_text())

    def _session(self) -> dict[str, Any]:
        """The server's session of the notebook and its kernel."""
        return next((one for one in self.jupyter.ask("api/sessions") if one["path"] == self.path.name), {})

    def execute(self, code: str) -> None:
        """Run statements in the notebook's kernel, without the page."""
        self._request(code, {})

    def evaluate(self, code: str) -> Any:
        """The value of an expression in the notebook's kernel, as JSON."""
        found = self._request("", {"it": f"__import__('json').dumps((\n{code}\n))"})["it"]
        assert found["status"] == "ok", f"{found.get('ename')}: {found.get('evalue')}"
        return json.loads(ast.literal_eval(found["data"]["text/plain"]))

    def _request(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        """Send a request to the kernel over a separate connection, and wait for its reply."""
        ours = secrets.token_hex(8)
        head = {"msg_id": ours, "session": ours, "username": "", "date": "", "version": "5.3"}
        content = {"code": code, "silent": True, "store_history": False, "user_expressions": expressions}
        message = {"header": head | {"msg_type": "execute_request"}, "parent_header": {}, "metadata": {}, "content": content}
        session = self._session()
        assert session, "The notebook has no kernel"
        line = f"api/kernels/{session['kernel']['id']}/channels?session_id={ours}&token={self.jupyter.token}"
        with closing(websocket.create_connection(self.home.replace("http", "ws", 1) + line, timeout=TIMEOUT_S)) as channel:
            channel.send(json.dumps(message | {"channel": "shell"}))
            answers = (json.loads(frame) for frame in iter(channel.recv, None) if isinstance(frame, str))  # others hold buffers
            answer = next(answer for answer in answers if answer["msg_type"] == "execute_reply")
        reply = answer["content"]
        assert reply["status"] == "ok", f"{reply.get('ename')}: {reply.get('evalue')}"
        return reply["user_expressions"]

    def shut_down_kernel(self) -> None:
        """End the kernel, as the menu does."""
        self._await(f"{PANEL}.sessionContext.shutdown()")

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        if error:
            error.add_note(f"Log of the Jupyter server:\n{self.jupyter.log[-4000:]}")
        if session := self._session():
            self.jupyter.ask(f"api/sessions/{session['id']}", "DELETE")


@contextmanager
def open_notebook(
    chromium: Browser,
    jupyter: Jupyter,
    front: Front,
    cells: list[str],
    *,
    theme: Theme = "light",
    width: int = 1280,
    height: int = 900,
    scale: float = 1,
) -> Iterator[NotebookPage]:
    """A new notebook of these cells, opened in a front end, with an idle kernel and no cell run."""
    name = secrets.token_hex(4)
    path = jupyter.root / f"{name}.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel), path)
    jupyter.set("@jupyterlab/apputils-extension/themes", theme=f"JupyterLab {theme.title()}")
    place = {"lab": f"lab/workspaces/{name}/tree", "notebook": "notebooks"}[front]
    options = {"viewport": {"width": width, "height": height}, "device_scale_factor": scale}
    with NotebookPage(chromium, jupyter, path, **options) as visit:
        visit.page.goto(f"{jupyter.url}{place}/{path.name}?token={jupyter.token}")
        visit.wait()
        visit.wait_for_kernel()
        yield visit


def pixels(page: Page, canvas: str | Locator) -> np.ndarray:
    """The pixels of a canvas, (height, width, 4), in its own resolution."""
    element = page.locator(canvas) if isinstance(canvas, str) else canvas
    return array_of(base64.b64decode(element.evaluate("canvas => canvas.toDataURL().split(',')[1]")))


def screenshot_array(target: Page | Locator) -> np.ndarray:
    """The visible pixels of a page or an element, (height, width, 4)."""
    return array_of(target.screenshot())


def array_of(png: bytes) -> np.ndarray:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGBA"))
