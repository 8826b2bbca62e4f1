"""The npm scripts: they set up .venv only if necessary, and run a command in it unchanged.

The fast tests run the real scripts with a fake Python, a shell script that logs its calls. It creates a "venv" with a copy
of itself, whose pip installs nothing; all other commands are run by the Python of this test.
"""

import io
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import websocket

PROJECT = Path(__file__).parent.parent
NODE = shutil.which("node")
PACKAGE = json.loads((PROJECT / "package.json").read_text())

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="the npm scripts need Node"),
    pytest.mark.skipif(os.name != "posix", reason="the fake Python is a shell script"),
]

FAKE_PYTHON = f"""#!/bin/sh
# $FAKE_VERSION, $FAKE_LACKS and $FAKE_PIP set its behaviour.
case "$1 $2 $3" in
"-c import sys; print"*)
    echo "${{FAKE_VERSION:-3.12}}"
    for name in $FAKE_LACKS; do case "$2" in *"import $name"*) exit 1;; esac; done
    exit 0;;
"-m venv "*)
    echo venv >> "$FAKE_LOG"
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "version = ${{FAKE_VERSION:-3.12}}.1" > "$3/pyvenv.cfg"
    exit;;
"-m pip install")
    echo "pip $4 $5 $6" >> "$FAKE_LOG"
    eval "$FAKE_PIP"
    exit;;
esac
exec "{sys.executable}" "$@"
"""

SET_UP = ["venv", "pip --quiet --editable .[notebook,test]"]
SETTING_UP = "Setting up .venv (about a minute the first time) ...\n"


class Project:
    """A copy of the scripts in a separate folder, with a fake Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a project"
        self.venv = self.folder / ".venv"
        shutil.copytree(PROJECT / ".scripts", self.folder / ".scripts")
        (self.folder / "pyproject.toml").write_text("[project]\n")
        self.log = folder / "log"
        self.python = self.install_python("fake-python", FAKE_PYTHON)
        self.env = {"TOKENVIS_PYTHON": str(self.python), "FAKE_LOG": str(self.log), "PATH": "/usr/bin:/bin"}

    def install_python(self, name: str, text: str) -> Path:
        path = self.folder.parent / "path" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def command(self, *words: str) -> list[str]:
        return [str(NODE), str(self.folder / ".scripts" / "venv.mjs"), *words]

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.env | env, cwd="/", capture_output=True, text=True, timeout=60, check=False
        )

    def start(self, *words: str, **env: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*words), env=self.env | env, stdout=pipe, stderr=pipe, text=True)

    def done(self) -> list[str]:
        """The calls of the fake Python since the last time."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def ready(project: Project) -> Project:
    """A project whose .venv is set up."""
    result = project.run("python", "-c", "")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", SETTING_UP)
    assert project.done() == SET_UP
    return project


def wait_until(condition: Callable[[], object], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


# A command of the .venv


def test_arguments_arrive_unchanged_in_the_folder_of_the_project(ready):
    words = ["two words", "it's", '"quoted"', "*", "$HOME", "", "a=b", "back\\slash", "--", "ä"]
    result = ready.run("python", "-c", "import json, os, sys; print(json.dumps([os.getcwd(), *sys.argv[1:]]))", *words)
    assert json.loads(result.stdout) == [str(ready.folder), *words]


@pytest.mark.parametrize("code", [0, 1, 5, 42])
def test_the_exit_code_is_that_of_the_command(ready, code):
    assert ready.run("python", "-c", f"raise SystemExit({code})").returncode == code


def test_a_command_killed_by_signal_n_exits_with_128_plus_n(ready):
    result = ready.run("python", "-c", "import os; os.kill(os.getpid(), 9)")
    assert result.returncode == 128 + signal.SIGKILL


def test_leading_assignments_are_set_for_the_command(ready):
    show = "import os, sys; print(os.environ['ONE'], os.environ['TWO'], sys.argv[1:])"
    result = ready.run("ONE=1 = one", "TWO=", "python", "-c", show, "THREE=3")
    assert result.stdout == "1 = one  ['THREE=3']\n"


def test_the_command_sees_the_venv_as_active(ready):
    show = "import os; print(os.environ['VIRTUAL_ENV'], os.environ['PATH'], 'PYTHONHOME' in os.environ, sep='|')"
    result = ready.run("python", "-c", show, PYTHONHOME="")
    assert result.stdout == f"{ready.venv}|{ready.venv}/bin:/usr/bin:/bin|False\n"


def test_an_unknown_command_and_a_missing_command_are_reported(ready):
    result = ready.run("no-such-command")
    assert (result.returncode, result.stderr) == (1, ".venv has no command no-such-command.\n")
    result = ready.run("ONE=1")
    assert result.stderr == "Usage: node .scripts/venv.mjs [+extra ...] [NAME=value ...] COMMAND [ARGS ...]\n"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_forwarded_and_the_command_is_waited_for(ready, sent, code):
    with ready.start("python", "-u", "-c", "print('ready'); import time; time.sleep(60)") as process:
        assert process.stdout.readline() == "ready\n"
        (child,) = psutil.Process(process.pid).children()
        process.send_signal(sent)
        process.communicate(timeout=10)
    assert process.returncode == code
    assert not child.is_running()


def line_of(screen: io.FileIO) -> bytes:
    """The next line of a terminal, which may come in pieces."""
    line = b""
    while not line.endswith(b"\n"):
        line += screen.read(1)
    return line


def test_ctrl_c_at_a_terminal_reaches_the_command_once_and_is_waited_for(ready):
    count = (
        "import signal, time; seen = []; signal.signal(signal.SIGINT, lambda *_: seen.append(1)); print('ready');"
        "end = time.monotonic() + 0.7\nwhile time.monotonic() < end: time.sleep(0.05)\nprint(len(seen))"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(str(NODE), ready.command("python", "-u", "-c", count), ready.env)
    with os.fdopen(terminal, "r+b", buffering=0) as screen:
        assert line_of(screen) == b"ready\r\n"
        screen.write(b"\x03")
        output = line_of(screen)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert output == b"^C1\r\n"


@pytest.mark.full
def test_the_command_ends_if_the_shell_of_npm_is_killed(ready):
    script = shell_words(ready.command("python", "-c", "import time; time.sleep(60)")) + "; true"
    with subprocess.Popen(["sh", "-c", script], env=ready.env | {"npm_lifecycle_event": "test"}) as shell:
        parent = psutil.Process(shell.pid)
        assert wait_until(lambda: len(parent.children(recursive=True)) == 2, seconds=10)
        below = parent.children(recursive=True)
        shell.terminate()
    assert psutil.wait_procs(below, timeout=10)[1] == []


def shell_words(words: list[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


# Setting up .venv


def test_a_stamp_that_matches_starts_no_python(ready):
    assert ready.run("python", "-c", "", TOKENVIS_PYTHON="/no/such/python").stderr == ""
    assert ready.done() == []


def test_a_new_pyproject_installs_again_into_the_same_venv(ready):
    (ready.folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert ready.run("python", "-c", "").stderr == SETTING_UP
    assert ready.done() == SET_UP[1:]
    assert ready.run("python", "-c", "").stderr == ""


def test_an_extra_is_installed_when_a_command_first_needs_it(ready):
    show = "import os; print(os.environ['ONE'])"
    assert ready.run("+engines", "ONE=1", "python", "-c", show).stdout == "1\n"
    assert ready.done() == ["pip --quiet --editable .[notebook,test,engines]"]
    assert ready.run("+engines", "python", "-c", "").stderr == ""
    assert ready.run("python", "-c", "").stderr == ""
    assert ready.run("+engines", "+other", "python", "-c", "").stderr == SETTING_UP
    assert ready.done() == ["pip --quiet --editable .[notebook,test,engines,other]"]
    (ready.folder / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    assert ready.run("python", "-c", "").stderr == SETTING_UP
    assert ready.done() == SET_UP[1:]


def test_a_moved_project_gets_a_new_venv(ready):
    (ready.venv / "left-over").touch()
    ready.folder = ready.folder.rename(ready.folder.with_name("moved"))
    ready.venv = ready.folder / ".venv"
    ready.run("python", "-c", "")
    assert ready.done() == SET_UP
    assert not (ready.venv / "left-over").exists()


@pytest.mark.parametrize("damage", ["no interpreter", "no pip", "too old", "no pyvenv.cfg", "empty"])
def test_an_incomplete_venv_is_created_again(ready, damage):
    (ready.venv / "left-over").touch()
    (ready.venv / "tokenvis-stamp").unlink()
    python = ready.venv / "bin" / "python"
    if damage == "no interpreter":
        python.unlink()
        python.symlink_to("/no/such/python")
    elif damage == "no pip":
        python.write_text(FAKE_PYTHON.replace("$FAKE_LACKS", "pip"))
    elif damage == "too old":
        python.write_text(FAKE_PYTHON.replace("${FAKE_VERSION:-3.12}", "3.10"))
    elif damage == "no pyvenv.cfg":
        (ready.venv / "pyvenv.cfg").unlink()
    else:
        shutil.rmtree(ready.venv)
        ready.venv.mkdir()
    assert ready.run("python", "-c", "print('works')").stdout == "works\n"
    assert ready.done() == SET_UP
    assert not (ready.venv / "left-over").exists()


def test_a_set_up_that_was_killed_is_repaired_by_the_next_run(project):
    with project.start("python", "-c", "", FAKE_PIP="sleep 60") as process:
        assert wait_until(lambda: project.log.exists() and project.log.read_text().endswith("test]\n"), seconds=10)
        pip = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate(timeout=10)
    for left in pip:
        left.kill()
    assert project.done() == SET_UP
    assert project.run("python", "-c", "print('works')").stdout == "works\n"
    assert project.done() == SET_UP
    assert sorted(path.name for path in project.venv.iterdir()) == ["bin", "pyvenv.cfg", "tokenvis-stamp"]


def test_an_interrupted_set_up_stops_pip_and_is_repaired_by_the_next_run(project):
    with project.start("python", "-c", "", FAKE_PIP="sleep 60") as process:
        assert wait_until(lambda: project.log.exists() and project.log.read_text().endswith("test]\n"), seconds=10)
        pip = psutil.Process(process.pid).children()
        process.terminate()
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
        process.communicate()
    assert [process for process in pip if process.is_running()] == []
    project.done()
    assert project.run("python", "-c", "").returncode == 0
    assert project.done() == SET_UP


# Two at once


def test_two_at_once_set_up_once(project):
    slow = {"FAKE_PIP": "sleep 0.5"}
    with project.start("python", "-c", "", **slow) as one, project.start("python", "-c", "", **slow) as two:
        errors = one.communicate(timeout=20)[1] + two.communicate(timeout=20)[1]
    assert (one.returncode, two.returncode) == (0, 0)
    assert project.done() == SET_UP
    assert errors.count(SETTING_UP) == 1


def test_a_living_owner_is_waited_for_and_the_set_up_of_a_dead_owner_is_repeated(project):
    project.venv.mkdir()
    (project.venv / "left-over").touch()
    with subprocess.Popen(["sleep", "60"]) as owner:
        (project.venv / f"setup-{owner.pid}.claim").touch()
        with project.start("python", "-c", "print('works')") as process:
            waiting = f"Waiting for process {owner.pid}, which is setting up {project.venv} ...\n"
            assert process.stderr.readline() == waiting
            assert project.done() == []
            owner.kill()
            owner.wait()
            assert process.communicate(timeout=20) == ("works\n", SETTING_UP)
    assert project.done() == SET_UP
    assert sorted(path.name for path in project.venv.iterdir()) == ["bin", "pyvenv.cfg", "tokenvis-stamp"]


# Problems that the user can fix


def refusal(project: Project, **env: str) -> str:
    result = project.run("python", "-c", "", **env)
    assert result.returncode == 1
    return result.stderr


def test_an_unsuitable_python_in_the_variable_is_reported(project):
    assert refusal(project, TOKENVIS_PYTHON="/no/python") == (
        "$TOKENVIS_PYTHON names /no/python, which does not run as a Python: set it to Python 3.11 or newer, or unset it.\n"
    )
    assert refusal(project, FAKE_VERSION="3.10") == (
        f"$TOKENVIS_PYTHON names {project.python}, which is Python 3.10: set it to Python 3.11 or newer, or unset it.\n"
    )


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_reported(project, module):
    assert refusal(project, FAKE_LACKS=module) == (
        f"{project.python} (3.12) has no venv or ensurepip module: "
        "install it (Debian, Ubuntu: apt install python3-venv) and run this again.\n"
    )


def test_a_missing_python_is_reported(project):
    (project.folder / "empty").mkdir()
    assert refusal(project, TOKENVIS_PYTHON="", PATH=str(project.folder / "empty")) == (
        "tokenvis needs Python 3.11 or newer and found none: install it, or set $TOKENVIS_PYTHON to its path.\n"
    )


def test_old_pythons_are_reported(project):
    project.install_python("python3", "#!/bin/sh\necho 3.9\n")
    project.install_python("python", "#!/bin/sh\necho 2.7\n")
    project.install_python("python3.11", "#!/bin/sh\necho 'python3.11: command not found' >&2; exit 127\n")
    assert refusal(project, TOKENVIS_PYTHON="", PATH=str(project.python.parent)) == (
        "tokenvis needs Python 3.11 or newer and found only python3 (3.9), python (2.7): "
        "install it, or set $TOKENVIS_PYTHON to its path.\n"
    )


def test_a_newer_python_under_another_name_is_found(project):
    project.install_python("python3", "#!/bin/sh\necho 3.9\n")
    project.install_python("python3.13", FAKE_PYTHON)
    result = project.run("python", "-c", "", TOKENVIS_PYTHON="", PATH=f"{project.python.parent}:/bin:/usr/bin")
    assert (result.returncode, result.stderr) == (0, SETTING_UP)


def test_an_active_venv_is_not_created_again_from_its_own_python(ready):
    (ready.venv / "bin" / "python3").symlink_to("python")
    (ready.venv / "tokenvis-stamp").unlink()
    (ready.venv / "pyvenv.cfg").unlink()
    path = f"{ready.venv}/bin:{ready.folder}"
    assert refusal(ready, TOKENVIS_PYTHON="", PATH=path).startswith("tokenvis needs Python 3.11 or newer and found none")


def test_pip_output_is_shown_on_failure_with_addresses_masked(project):
    pip_output = [
        "Looking in indexes: https://user:secret@packages.example.org:8443/simple/",
        "HTTPSConnectionPool(host='mirror', port=443): Max retries exceeded with url: /simple/ (mirror)",
        "Connection to files.example.net timed out. (files.example.net)",
        "Processing file:///home/someone/project (numpy-2.1.3.whl from packages.example.org)",
        "ERROR: No matching distribution found for numpy>=2.1",
    ]
    pip = "; ".join(f'echo "{line}"' for line in pip_output) + "; exit 1"
    assert refusal(project, FAKE_PIP=pip).removeprefix(SETTING_UP).splitlines() == [
        "Looking in indexes: <address>",
        "HTTPSConnectionPool(host='<host>', port=443): Max retries exceeded with url: /simple/ (<host>)",
        "Connection to <host> timed out. (<host>)",
        "Processing <address> (numpy-2.1.3.whl from <host>)",
        "ERROR: No matching distribution found for numpy>=2.1",
        "Installing into .venv failed, see above: check that pip can reach its package index, and run this again.",
    ]
    assert project.run("python", "-c", "").stderr == SETTING_UP
    assert project.done() == [*SET_UP, SET_UP[1]]


def test_pip_output_is_not_shown_on_success(project):
    assert project.run("python", "-c", "", FAKE_PIP="echo shown; echo shown >&2").stderr == SETTING_UP


def test_a_link_is_not_emptied(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    project.venv.symlink_to(elsewhere)
    assert refusal(project).removeprefix(SETTING_UP) == (
        ".venv is a link to a folder that does not work as a virtual environment: remove the link, and run this again.\n"
    )
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]


# Windows, package.json, the lock file


def test_on_windows_the_folder_is_scripts_and_programs_are_exe():
    module = (PROJECT / ".scripts" / "setup.mjs").as_uri()
    names = "[m.binFolder('win32'), m.programName('python', 'win32'), m.binFolder('linux'), m.programName('python', 'linux')]"
    show = f"import('{module}').then((m) => console.log(...{names}))"
    assert subprocess.check_output([str(NODE), "-e", show], text=True) == "Scripts python.exe bin python\n"


def test_every_script_refers_to_files_that_exist():
    files = {name: re.findall(r"(?:\.scripts|tests|docs)/\S+", script) for name, script in PACKAGE["scripts"].items()}
    assert [
        name for name in ("start", "seed", "test", "test:full", "test:real", "lint", "notebooks") if name not in files
    ] == []
    assert [name for name, paths in files.items() if not paths] == []
    assert [path for paths in files.values() for path in paths if not (PROJECT / path).is_file()] == []


def test_the_lock_file_matches_and_contains_no_address():
    lock = (PROJECT / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "://" not in lock
    package = json.loads(lock)["packages"][""]
    assert package == {key: PACKAGE[key] for key in ("name", "version", "license", "engines", "devDependencies")}


def test_the_only_dependency_is_the_type_checker():
    assert [key for key in PACKAGE if "ependencies" in key] == ["devDependencies"]
    assert list(PACKAGE["devDependencies"]) == ["typescript"]
    assert list(json.loads((PROJECT / "package-lock.json").read_text())["packages"]) == ["", "node_modules/typescript"]


# The real scripts, in a fresh clone


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of the last commit, without a .venv."""
    folder = tmp_path_factory.mktemp("clone") / "tokenvis"
    subprocess.run(["git", "clone", "--quiet", PROJECT, folder], env=fresh_environment(), check=True)
    return folder


def fresh_environment() -> dict[str, str]:
    """The environment of a new terminal: outside of this venv, npm and git."""
    ours = ("npm_", "GIT_", "TOKENVIS_", "JUPYTER", "JPY_", "PYTEST_", "VIRTUAL_ENV", "INIT_CWD")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    folders = [folder for folder in env["PATH"].split(os.pathsep) if not folder.startswith(sys.prefix)]
    return env | {"PATH": os.pathsep.join(folders)}


@pytest.fixture
def server(clone: Path, tmp_path: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str, Path]]:
    """`npm start` in the clone: the process, the address that it prints, and the file with its output."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output_file = tmp_path / "output"
    command = ["npm", "start", "--", "--no-browser", "--port", str(port)]
    with output_file.open("wb") as out:
        process = subprocess.Popen(command, cwd=clone, env=fresh_environment(), stdout=out, stderr=out, start_new_session=True)
    try:
        address = re.compile(rf"http://127\.0\.0\.1:{port}/\S+token=\w+")
        assert wait_until(lambda: address.search(output_file.read_text()) or process.poll(), seconds=300), (
            output_file.read_text()
        )
        found = address.search(output_file.read_text())
        assert found, output_file.read_text()
        yield process, found[0], output_file
    finally:
        for left in [process, *processes_of(clone)]:
            left.kill()
        process.wait()


def processes_of(folder: Path) -> list[psutil.Process]:
    """The living processes that were started from a folder."""
    return [process for process in psutil.process_iter(["cmdline", "cwd"]) if is_from(folder, process)]


def is_from(folder: Path, process: psutil.Process) -> bool:
    words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
    return process.pid != os.getpid() and any(str(folder) in word for word in words)


def ask(address: str, path: str, data: bytes | None = None) -> tuple[int, dict]:
    base, token = re.fullmatch(r"(http://[^/]+)/\S+token=(\w+)", address).groups()
    request = urllib.request.Request(base + path, data=data, headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, json.load(response)


def run_in_kernel(address: str, code: str) -> str:
    """The output of a cell with that code, in a new kernel of the server."""
    _, kernel = ask(address, "/api/kernels", b"{}")
    place, token = re.fullmatch(r"http(://[^/]+)/\S+token=(\w+)", address).groups()
    header = {"msg_id": "1", "session": "1", "username": "", "date": "", "version": "5.3", "msg_type": "execute_request"}
    content = {"code": code, "silent": False, "store_history": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    with closing(
        websocket.create_connection(f"ws{place}/api/kernels/{kernel['id']}/channels?token={token}", timeout=60)
    ) as line:
        line.send(json.dumps(message))
        printed = ""
        while (answer := json.loads(line.recv()))["msg_type"] != "execute_reply":
            printed += answer["content"]["text"] if answer["msg_type"] == "stream" else ""
    return printed


@pytest.mark.full
def test_npm_run_seed_in_a_fresh_clone(clone):
    command = ["npm", "run", "seed"]
    first = subprocess.run(command, cwd=clone, env=fresh_environment(), capture_output=True, text=True, check=True)
    assert first.stderr.endswith(SETTING_UP)
    assert "kitchen-sink" in first.stdout
    assert "multi-agent-workflow" in first.stdout
    assert (clone / "sqlite.db").is_file()
    again = subprocess.run(command, cwd=clone, env=fresh_environment(), capture_output=True, text=True, check=True)
    assert SETTING_UP not in again.stderr


@pytest.mark.full
@pytest.mark.parametrize("stopped_by", ["Ctrl-C", "SIGTERM to npm", "SIGTERM to the script", "SIGKILL to the script"])
def test_npm_start_serves_the_first_notebook_and_leaves_no_process(server, clone, stopped_by):
    process, address, output_file = server
    assert "/lab/tree/notebooks/01-first-look.ipynb?token=" in address
    with urllib.request.urlopen(address, timeout=30) as page:
        assert page.status == 200
    assert ask(address, "/api/status")[0] == 200
    assert {"notebooks", "docs"} <= {entry["name"] for entry in ask(address, "/api/contents")[1]["content"]}
    assert ask(address, "/lab/api/news")[1] == {"news": []}
    notifications = ask(address, "/lab/api/settings/@jupyterlab/apputils-extension:notification")[1]["schema"]["properties"]
    assert notifications["fetchNews"]["default"] == "false"  # else JupyterLab asks about news, over every notebook
    assert run_in_kernel(address, "import tokenvis as tv; print(len(tv.load_spans('kitchen-sink')))") == "7\n"
    assert "WARNING" not in output_file.read_text()

    if stopped_by == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    elif stopped_by == "SIGTERM to npm":
        process.terminate()
    else:
        (script,) = [found for found in processes_of(clone) if found.info["cmdline"][1:] and is_start_script(found)]
        script.send_signal(signal.SIGTERM if "TERM" in stopped_by else signal.SIGKILL)
    process.wait(timeout=20)
    assert wait_until(lambda: processes_of(clone) == [], seconds=20), processes_of(clone)


def is_start_script(process: psutil.Process) -> bool:
    return process.info["cmdline"][:2] == ["node", ".scripts/start.mjs"]
