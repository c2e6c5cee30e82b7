"""A real Slurm on loopback: two nodes or more, its own munge, and its own database where jobs are accounted for.

Run as root. Several live side by side on one machine. All of a cluster is in its folder: configuration, state, logs.
"""

import os
import pwd
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster_files import ClusterFiles, cluster_ports

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "slurmdbd", "mariadbd", "mariadb-install-db")
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
POLL_S = 0.3


class Cluster:
    """Start with `with Cluster() as cluster`, or by `start` and `stop`.

    `accounting` brings slurmdbd and MariaDB, so that sacct answers; by `limits` root has the account `team` alone, with
    the QOS `small` of one node a job. Slurm forgets a job `min_job_age_s` after its end.
    """

    def __init__(
        self,
        *,
        nodes: int = 2,
        accounting: bool = False,
        min_job_age_s: int = 300,
        name: str = "loopback",
        patience_s: int = 5,
        limits: bool = False,
    ) -> None:
        # Unix sockets take 107 characters: pytest's own folders can be too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.files = ClusterFiles(
            folder=self.folder,
            min_job_age_s=min_job_age_s,
            accounting=accounting or limits,
            limits=limits,
            ports=cluster_ports(nodes),
            name=name,
            patience_s=patience_s,
        )
        self.nodes = self.files.nodes
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        command = [sys.executable, str(Path(__file__).with_name("leftovers.py")), str(self.folder)]
        self.leftovers = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def environ(self) -> Mapping[str, str]:
        """What makes Slurm's commands speak to this cluster."""
        return {"SLURM_CONF": str(self.files.slurm_conf)}

    @property
    def jobs(self) -> Path:
        """A folder where jobs of any user may write; `sbatch` runs there."""
        return self.files.jobs

    def start(self) -> None:
        """Bring everything up; returns when all nodes are idle."""
        try:
            self.files.write()
            self._start_munged()
            if self.files.accounting:
                self._start_accounting()
            if self.files.limits:
                self._add_accounts()
            self.start_slurmctld()
            for node in self.nodes:
                self._launch_slurmd(node)
            self._wait_for_idle_nodes()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all daemons and jobs, and remove the folder."""
        for name in ("slurmctld", *self.nodes, "slurmdbd"):
            self._stop_daemon(name)
        # What does not matter any more need not end well: the database, munged, steps and tasks.
        self.leftovers.communicate()
        for daemon in self.daemons.values():
            daemon.wait()

    def run(
        self, *argv: str, user: str | None = None, check: bool = True, cwd: Path | None = None, script: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command for this cluster, in `jobs` unless told, with `script` as its standard input."""
        account = pwd.getpwnam(user) if user else None
        return subprocess.run(
            argv,
            check=check,
            capture_output=True,
            text=True,
            input=script,
            cwd=cwd or self.jobs,
            env=self._command_environ(),
            user=account and account.pw_uid,
            group=account and account.pw_gid,
            extra_groups=[] if account else None,
        )

    def sbatch(self, *options: str, script: str, user: str | None = None) -> str:
        """Submit the lines of a bash script; the job's id. Its log is `jobs/ID.log`."""
        argv = ("sbatch", "--parsable", "--output=%j.log", "--open-mode=append", *options)
        return self.run(*argv, user=user, script=f"#!/bin/bash\n{script}\n").stdout.strip()

    def log(self, job_id: str) -> str:
        """What a job of `sbatch` has printed so far."""
        log = self.jobs / f"{job_id}.log"
        return log.read_text() if log.exists() else ""

    def show(self, job_id: str) -> dict[str, str]:
        """The fields of `scontrol show job`; empty once Slurm has forgotten the job. Values with spaces are cut."""
        shown = self.run("scontrol", "--oneliner", "show", "job", job_id, check=False).stdout
        return {name: value for name, _, value in (word.partition("=") for word in shown.split())}

    def state(self, job_id: str) -> str | None:
        """The job's state, such as RUNNING; None once Slurm has forgotten the job."""
        return self.show(job_id).get("JobState")

    def wait_for(self, job_id: str, *states: str, timeout_s: float = 60) -> str:
        """The first of these states that the job reaches."""
        self.wait(
            f"job {job_id} is {' or '.join(states)}",
            lambda: self.state(job_id) in states,
            timeout_s,
            lambda: self.run("scontrol", "show", "job", job_id, check=False).stdout,
        )
        return str(self.state(job_id))

    def wait(
        self, what: str, reached: Callable[[], bool], timeout_s: float = 60, seen: Callable[[], str] = str
    ) -> None:
        """Poll until `reached`; else TimeoutError with what `seen` tells and the daemons' last lines."""
        ends = time.monotonic() + timeout_s
        while not reached():
            if time.monotonic() > ends:
                logs = "\n".join(f"== {log.name}\n{tail(log)}" for log in sorted((self.folder / "log").iterdir()))
                raise TimeoutError(f"waited {timeout_s:g} s until {what}\n{seen()}\n{logs}")
            time.sleep(POLL_S)

    def node_states(self) -> dict[str, str]:
        """State by node, such as idle, mixed, down or `idle*` (does not answer); none while slurmctld is away."""
        listed = self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T", check=False).stdout
        return dict(line.split() for line in listed.splitlines() if len(line.split()) == 2)

    def set_down(self, node: str) -> None:
        """Take a node away at once: its jobs end by NODE_FAIL or are requeued."""
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")

    def resume(self, node: str) -> None:
        """Give a node back, and wait until jobs can run there."""
        self.run("scontrol", "update", f"nodename={node}", "state=resume", check=False)
        self._wait_for_node(node)

    def kill_slurmd(self, node: str) -> None:
        """Kill a node's slurmd by SIGKILL; what it had started lives on."""
        self.daemons[node].kill()
        self.daemons[node].wait()

    def start_slurmd(self, node: str) -> None:
        """Start a node's slurmd, and wait until jobs can run there."""
        self._launch_slurmd(node)
        self._wait_for_node(node)

    def stop_slurmctld(self) -> None:
        """Stop slurmctld in good order; it saves its state."""
        self._stop_daemon("slurmctld")

    def start_slurmctld(self) -> None:
        """Start slurmctld where it left off, and wait until it answers."""
        self._start_daemon("slurmctld", "slurmctld", "-D", "-f", str(self.files.slurm_conf))
        self.wait("slurmctld answers", lambda: self.run("sinfo", check=False).returncode == 0)

    def stop_slurmdbd(self) -> None:
        """Stop accounting: sacct fails, slurmctld keeps what happens meanwhile."""
        self._stop_daemon("slurmdbd")

    def start_slurmdbd(self) -> None:
        """Start accounting, and wait until it answers."""
        self._start_daemon("slurmdbd", "slurmdbd", "-D")
        self.wait("slurmdbd answers", lambda: self.run("sacctmgr", "list", "user", check=False).returncode == 0)

    def reset(self) -> None:
        """As after the start, for the next test: all daemons run, no job is left, all nodes are idle."""
        if self.files.accounting and not self._runs("slurmdbd"):
            self.start_slurmdbd()
        if not self._runs("slurmctld"):
            self.start_slurmctld()
        for node in self.nodes:
            if not self._runs(node):
                self._launch_slurmd(node)
        self.wait("no job is left", self._without_jobs)
        for node in self.nodes:
            if self.node_states()[node] != "idle":
                self.resume(node)
        self._wait_for_idle_nodes()

    def _without_jobs(self) -> bool:
        listed = self.run("squeue", "--noheader", "--format=%i").stdout.split()
        if listed:
            # A job that is sent nothing but SIGTERM may take its time.
            self.run("scancel", "--quiet", "--signal=KILL", "--full", *listed, check=False)
            self.run("scancel", "--quiet", *listed, check=False)
        return not listed

    def _wait_for_idle_nodes(self) -> None:
        self.wait("all nodes are idle", lambda: self.node_states() == dict.fromkeys(self.nodes, "idle"))

    def _wait_for_node(self, node: str) -> None:
        usable = {"idle", "mixed", "allocated"}
        self.wait(f"{node} is usable", lambda: self.node_states().get(node) in usable)

    def _launch_slurmd(self, node: str) -> None:
        self._start_daemon(node, "slurmd", "-D", "-N", node, "-f", str(self.files.slurm_conf))

    def _start_munged(self) -> None:
        munge = self.folder / "munge"
        own = (f"--{name}-file={munge / name}" for name in ("key", "pid", "log", "seed"))
        self._start_daemon("munged", "munged", "--foreground", "--force", f"--socket={self.files.socket}", *own)
        self.wait("munged answers", self.files.socket.exists)

    def _start_accounting(self) -> None:
        data = self.folder / "db"
        options = ("--no-defaults", f"--datadir={data}", "--user=root")
        self.run("mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db")
        own = (f"--socket={self.files.database_socket}", f"--pid-file={data}/pid", "--skip-networking")
        self._start_daemon("mariadbd", "mariadbd", *options, *own)
        self.wait("MariaDB answers", self.files.database_socket.exists)
        self.start_slurmdbd()

    def _add_accounts(self) -> None:
        changes = (
            f"add cluster {self.files.name}",
            "add account team,others",
            "add qos small",
            "modify qos small set MaxTRESPerJob=node=1",
            "add user root account=team",
            "modify user root set defaultaccount=team",
            "modify user root where account=team set qos=normal,small",
        )
        for change in changes:
            self.run("sacctmgr", "--immediate", *change.split())

    def _start_daemon(self, name: str, *argv: str) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            self.daemons[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self._command_environ() | {"MYSQL_UNIX_PORT": str(self.files.database_socket)},
                start_new_session=True,
            )

    def _stop_daemon(self, name: str) -> None:
        if name in self.daemons:
            self.daemons[name].terminate()
            try:
                self.daemons[name].wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.daemons[name].kill()
                self.daemons[name].wait()

    def _runs(self, name: str) -> bool:
        return self.daemons[name].poll() is None

    def _command_environ(self) -> dict[str, str]:
        """The environment less what a Slurm around the tests may have left in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return kept | {"PATH": PATH} | dict(self.environ)


def tail(log: Path) -> str:
    """The last lines of a daemon's log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
