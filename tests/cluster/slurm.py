"""A two-node SLURM on this machine: `python -m tests.cluster.slurm FOLDER COMMAND...` starts it, runs the command, and
stops it.

Needs root and the packages slurm-wlm, munge, slurmdbd and mariadb-server. Everything lives in FOLDER; the command finds
the cluster through SLURM_CONF. Nothing of a SLURM that may be installed is touched, and only processes that were
started here are stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

NODES = ("n1", "n2")
MAX_ARRAY = 5
"""So that an array of 8 shards is larger than the limit."""
CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={folder}/munge/socket
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,bf_interval=2
ReturnToService=2
JobRequeue=1
MaxArraySize={array}
MinJobAge=3600
KillWait=5
SlurmdTimeout=15
InactiveLimit=0
MpiDefault=none
SwitchType=switch/none
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""
ACCOUNTING = """
DbdHost=localhost
DbdPort={dbd}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql}
StorageUser=slurm
StoragePass=loopback
StorageLoc=slurm_acct_db
"""
PROGRAMS = {
    "munged": "munge",
    "slurmctld": "slurm-wlm",
    "slurmd": "slurm-wlm",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server",
}
"""What is needed, and Debian's packages of it."""


class Slurm:
    """The daemons. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.config = self.folder / "slurm.conf"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        names = ("slurmctld", "slurmdbd", "sql", *NODES)
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))

    def __enter__(self) -> Slurm:
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing or os.geteuid() != 0:
            raise RuntimeError(
                f"needs root, and the programs {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'none'} (make "
                "test-cluster)"
            )
        self._configure()
        os.environ["SLURM_CONF"] = str(self.config)  # slurmdbd.conf is looked for beside it
        try:
            self._start()
            self._wait_until_idle()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "slurmctld" in self.daemons:
            subprocess.run(["scancel", "--user", "root"], check=False, capture_output=True, timeout=30)
        for name in reversed(list(self.daemons)):
            self.stop(name)
        self._kill_steps(*NODES)

    def start(self, name: str) -> None:
        """Start a daemon by name: munged, slurmctld, n1, n2."""
        munge, conf = self.folder / "munge", str(self.config)
        command = {
            "mariadbd": [
                "mariadbd",
                "--no-defaults",
                "--user=root",
                f"--datadir={self.folder}/sql",
                f"--socket={self.folder}/sql.socket",
                f"--port={self.ports['sql']}",
                "--bind-address=127.0.0.1",
                f"--pid-file={self.folder}/sql.pid",
                f"--init-file={self.folder}/sql.init",
            ],
            "slurmdbd": ["slurmdbd", "-D"],
            "munged": [
                "munged",
                "--foreground",
                "--force",
                f"--socket={munge}/socket",
                f"--key-file={munge}/key",
                f"--pid-file={munge}/pid",
                f"--seed-file={munge}/seed",
                "--log-file=/dev/stderr",
            ],
            "slurmctld": ["slurmctld", "-D", "-c", "-f", conf],
            **{node: ["slurmd", "-D", "-c", "-N", node, "-f", conf] for node in NODES},
        }[name]
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop a daemon, or kill it."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def revive(self) -> None:
        """Start nodes that a test killed, and wait until all are ready."""
        for node in NODES:
            if node not in self.daemons:
                self.start(node)
        self._wait_until_idle()

    def kill_node(self, node: str) -> None:
        """The death of a node: its daemon, and its steps with all that runs in them, which tell nobody any more."""
        self.stop(node, signal.SIGKILL)
        self._kill_steps(node)

    def _configure(self) -> None:
        for part in ("munge", "state", *(f"spool.{node}" for node in NODES)):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        host = socket.gethostname().split(".")[0]
        lines = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.ports[node]} CPUs=1 RealMemory=4000 "
            "State=UNKNOWN"
            for node in NODES
        ]
        text = CONFIG.format(
            host=host,
            folder=self.folder,
            port=self.ports["slurmctld"],
            dbd=self.ports["slurmdbd"],
            array=MAX_ARRAY + 1,
            nodes="\n".join(lines),
            names=",".join(NODES),
        )
        self.config.write_text(text, encoding="utf-8")
        accounting = self.folder / "slurmdbd.conf"
        accounting.touch(mode=0o600)
        accounting.write_text(
            ACCOUNTING.format(folder=self.folder, dbd=self.ports["slurmdbd"], sql=self.ports["sql"]), encoding="utf-8"
        )
        grant = (
            "CREATE USER IF NOT EXISTS slurm@localhost IDENTIFIED BY 'loopback';\nGRANT ALL ON slurm_acct_db.* TO "
            "slurm@localhost;\n"
        )
        (self.folder / "sql.init").write_text(grant, encoding="utf-8")
        if not (self.folder / "sql").exists():  # else it was started in this folder before
            command = [
                "mariadb-install-db",
                "--no-defaults",
                "--user=root",
                f"--datadir={self.folder}/sql",
                "--skip-test-db",
            ]
            subprocess.run(command, check=True, capture_output=True)

    def _start(self) -> None:
        self.start("munged")
        self._wait(lambda: (self.folder / "munge" / "socket").exists(), "munged made no socket")
        self.start("mariadbd")
        self._wait(lambda: _listens(self.ports["sql"]), "the database does not answer")
        self.start("slurmdbd")
        self._wait(lambda: _listens(self.ports["slurmdbd"]), "slurmdbd does not answer")
        subprocess.run(
            ["sacctmgr", "--immediate", "add", "cluster", "loopback"], check=False, capture_output=True, timeout=60
        )
        for name in ("slurmctld", *NODES):
            self.start(name)

    def _wait_until_idle(self) -> None:
        def idle() -> bool:
            said = subprocess.run(
                ["sinfo", "-h", "-N", "-o", "%T"], capture_output=True, text=True, check=False
            ).stdout.split()
            return said == ["idle"] * len(NODES)

        self._wait(idle, "the nodes do not get ready")

    def _wait(self, true: object, else_: str, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not true():  # type: ignore[operator]
            if time.monotonic() > end:
                logs = "\n".join(
                    f"{p.name}: {p.read_text(errors='replace')[-1500:]}" for p in self.folder.glob("*.out")
                )
                raise RuntimeError(f"{else_}\n{logs}")
            time.sleep(0.2)

    def _kill_steps(self, *nodes: str) -> None:
        """Job steps outlive their daemon; whose they are tells the log that they write to."""
        import psutil

        logs = {str(self.folder / f"slurmd.{node}.log") for node in nodes}
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                if process.info["name"] == "slurmstepd" and logs & {file.path for file in process.open_files()}:
                    for one in (process, *process.children(recursive=True)):
                        one.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def main() -> int:
    """Run a command on a cluster of its own; its exit code."""
    with Slurm(Path(sys.argv[1])):
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # `reasoning-train`
        return subprocess.run(sys.argv[2:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
