"""Programs that try to get out, to harm the host or to use it up, with what becomes of them.

A program prints `out` if it got what it wanted. `refused(f)` prints the exception that it met instead.
"""

from __future__ import annotations

HELP = """
import ctypes, os, signal, socket, subprocess, sys, threading, time
def refused(f, *args):
    try:
        print("out", f(*args))
    except BaseException as error:
        print("refused", type(error).__name__)
libc = lambda: ctypes.CDLL(None, use_errno=True)
"""

REFUSED: dict[str, str] = {
    "fork": "refused(os.fork)",
    "fork_bomb": "while True:\n    os.fork()",
    "fork_bomb_that_goes_on": "for _ in range(10000):\n    try: os.fork(); print('out')\n    except OSError: pass",
    "fork_by_number": "print('out' if libc().syscall(57) >= 0 else 'refused')",
    "vfork_by_number": "print('out' if libc().syscall(58) >= 0 else 'refused')",
    "clone_by_number": "print('out' if libc().syscall(56, 17, 0, 0, 0, 0) >= 0 else 'refused')",
    "spawn": "refused(os.posix_spawn, sys.executable, [sys.executable, '-c', ''], {})",
    "shell": "refused(subprocess.run, ['/bin/sh', '-c', 'echo out'])",
    "system": "print('out' if os.system('true') == 0 else 'refused')",
    "thread": "refused(threading.Thread(target=print).start)",
    "threads": "for _ in range(1000): refused(threading.Thread(target=time.sleep, args=(60,)).start)",
    "internet": "refused(socket.create_connection, ('1.1.1.1', 53), 2)",
    "loopback": "refused(socket.create_connection, ('127.0.0.1', 22), 2)",
    "listener": "refused(socket.create_server, ('', 0))",
    "vsock": "refused(socket.socket, 40, socket.SOCK_STREAM)",
    "netlink": "refused(socket.socket, 16, socket.SOCK_RAW)",
    "unix_socket": "refused(socket.socket, socket.AF_UNIX)",
    "home": "refused(os.listdir, os.path.expanduser('~root'))",
    "passwords": "refused(open, '/etc/passwd')",
    "environment_of_the_parent": "refused(open, f'/proc/{os.getppid()}/environ')",
    "proc": "refused(os.listdir, '/proc')",
    "memory_of_itself": "refused(open, '/proc/self/mem', 'r+b')",
    "host_settings": "refused(open, '/proc/sys/kernel/core_pattern', 'w')",
    "sys": "refused(os.listdir, '/sys/kernel')",
    "devices": "refused(os.open, '/dev/mem', os.O_RDONLY)",
    "terminal": "refused(open, '/dev/tty', 'w')",
    "device_of_its_own": "refused(os.mknod, '/box/disk', 0o60600, os.makedev(8, 0))",
    "symlink_to_the_host": "os.symlink('/etc/passwd', '/box/link')\nrefused(open, '/box/link')",
    "symlink_upwards": "os.symlink('/' + '../' * 20 + 'etc/passwd', '/box/link')\nrefused(open, '/box/link')",
    "hard_link": "refused(os.link, sys.executable, '/box/python')",
    "write_to_root": "refused(open, '/planted', 'w')",
    "write_to_the_interpreter": "refused(open, sys.executable, 'r+b')",
    "write_to_the_library": "refused(open, os.__file__, 'a')",
    "plant_a_module": "refused(open, os.path.dirname(os.__file__) + '/sitecustomize.py', 'w')",
    "write_to_the_runner": "refused(open, '/inside/program.py', 'w')",
    "shadow_a_module_beside_the_runner": "refused(open, '/inside/resource.py', 'w')",
    "user_namespace": "print('out' if libc().unshare(0x10000000) == 0 else 'refused')",
    "mount": "print('out' if libc().mount(b'none', b'/box', b'tmpfs', 0, None) == 0 else 'refused')",
    "remount": "print('out' if libc().mount(None, b'/', None, 32, None) == 0 else 'refused')",
    "chroot": "refused(os.chroot, '/box')",
    "root": "refused(os.setuid, 0)",
    "clock": "refused(time.clock_settime, time.CLOCK_REALTIME, 0.0)",
    "priority": "refused(os.nice, -10)",
    "host_name": "print('out' if libc().sethostname(b'mine', 4) == 0 else 'refused')",
    "trace_the_parent": "print('out' if libc().ptrace(16, os.getppid(), 0, 0) == 0 else 'refused')",
    "read_the_parent": "print('out' if libc().syscall(310, os.getppid(), 0, 0, 0, 0, 0) >= 0 else 'refused')",
    "keys": "print('out' if libc().syscall(248, b'user', b'k', b'v', 1, -3) >= 0 else 'refused')",
    "anonymous_file": "refused(os.memfd_create, 'hoard')",
    "io_uring": "print('out' if libc().syscall(425, 8, b'\\0' * 120) >= 0 else 'refused')",
    "more_memory": "import resource\nrefused(resource.setrlimit, resource.RLIMIT_AS, (-1, -1))",
    "more_time": "import resource\nrefused(resource.setrlimit, resource.RLIMIT_CPU, (-1, -1))",
    "open_files": "refused(lambda: [os.open('/dev/null', 0) for _ in range(10000)])",
    "full_disk": "refused(lambda: [open(f'/box/{i}', 'wb').write(bytes(1 << 20)) for i in range(10000)])",
    "one_large_file": "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nrefused(os.truncate, '/box/.program', 1 << 40)",
    "memory": "refused(bytearray, 4 << 30)",
    "memory_in_pieces": "refused(lambda: [bytearray(1 << 20) for _ in range(10000)])",
    "deep_recursion": "def f(): return f()\nrefused(f)",
    "zip_bomb": (
        "import zlib\npacker = zlib.compressobj(1)\nparts = [packer.compress(bytes(1 << 20)) for _ in range(300)]\n"
        "bomb = b''.join(parts) + packer.flush()\nrefused(zlib.decompress, bomb)"
    ),
    "installed_packages": "refused(__import__, 'torch')",
}
"""Programs that are refused what they try: they end by themselves, and none prints `out`."""

ENDED: dict[str, tuple[str, set[str]]] = {
    "endless_loop": ("while True: pass", {"timeout"}),
    "loop_that_ignores_signals": (
        "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        {"died", "timeout"},
    ),
    "sleep": ("time.sleep(3600)", {"timeout"}),
    "slow_import": ("open('slow.py', 'w').write('while True: pass')\nimport slow", {"timeout"}),
    "large_power": ("x = 7 ** (7 ** (7 ** 7))", {"timeout", "died", "error"}),
    "slow_regex": ("import re\nre.match('(a+)+$', 'a' * 64 + 'b')", {"timeout"}),
    "endless_output": ("while True: print('x' * 65536)", {"output"}),
    "endless_errors": ("while True: print('x' * 65536, file=sys.stderr)", {"output"}),
    "one_long_line": ("sys.stdout.write('x' * (32 << 20))", {"output"}),
    "closed_pipes": (
        "for fd in range(64):\n    try: os.close(fd)\n    except OSError: pass\ntime.sleep(3600)",
        {"timeout"},
    ),
    "deep_recursion_in_c": (
        "sys.setrecursionlimit(10**9)\nclass A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        {"died", "error"},
    ),
    "segmentation_fault": ("ctypes.string_at(0)", {"died"}),
    "kills_the_parent": ("os.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(3600)", {"timeout", "died", "error"}),
    "kills_all": ("os.kill(-1, signal.SIGKILL)\ntime.sleep(3600)", {"timeout", "died", "error", "ok"}),
    "kills_its_group": ("os.killpg(0, signal.SIGKILL)", {"died"}),
    "limits_of_its_init": (
        "import resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (0, 0))",
        {"ok", "died"},
    ),
    "stops_itself": ("os.kill(os.getpid(), signal.SIGSTOP)", {"timeout"}),
    "daemon": (
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\nos.setsid() if os.getsid(0) != os.getpid() else 0\n"
        "time.sleep(3600)",
        {"timeout", "error"},
    ),
    "many_empty_files": ("for i in range(10**9): open(f'/box/{i}', 'w').close()", {"timeout", "error"}),
    "forged_status": (
        "s = b'{\"exit-code\": 0}\\n'\nfor fd in range(3, 64):\n    try: os.write(fd, s)\n    except OSError: pass\n"
        "os._exit(3)",
        {"error"},
    ),
    "spoilt_status": (
        "for fd in range(3, 64):\n    try: os.write(fd, b'not json\\n')\n    except OSError: pass\nos._exit(3)",
        {"error"},
    ),
    "not_text": ("os.write(1, bytes(range(256)))\nos._exit(1)", {"error"}),
    "not_a_program": ("\x00 \ud800 (", {"error"}),
}
"""Programs that go on until they are ended, or end badly, with the statuses that they may have."""
