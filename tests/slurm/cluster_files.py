"""What a small cluster on loopback is configured with: slurm.conf, gres.conf, slurmdbd.conf."""

import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import randbelow, token_bytes

GPUS_PER_NODE = 8
FIRST_PORT = 12000  # up to 32000 no outgoing connection takes them
PORTS_A_PROCESS = 400  # test processes that start clusters at once, as xdist's, do not meet
TAKEN: set[int] = set()  # a stopped slurmctld wants its port back, though it looks free meanwhile
DAEMONS_PORTS = 200  # the others are MASTER_PORT of the first jobs, as the jobs' script computes it


@dataclass(frozen=True, kw_only=True)
class ClusterFiles:
    """A cluster's folder and how it may vary; `ports` are as `cluster_ports` gives them, and tell how many nodes.

    `patience_s` is how long a daemon may be silent: many of them on few cores need some. `limits`: accounts and their
    limits are enforced.
    """

    folder: Path
    min_job_age_s: int
    accounting: bool
    ports: tuple[int, ...]
    name: str
    patience_s: int
    limits: bool

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes' names."""
        return tuple(f"node{number}" for number in range(1, len(self.ports) - 1))

    @property
    def slurm_conf(self) -> Path:
        """What every Slurm command finds by SLURM_CONF."""
        return self.folder / "slurm.conf"

    @property
    def socket(self) -> Path:
        """Where this cluster's own munged listens."""
        return self.folder / "munge/socket"

    @property
    def database_socket(self) -> Path:
        """Where this cluster's own MariaDB listens."""
        return self.folder / "db.socket"

    @property
    def jobs(self) -> Path:
        """A folder where jobs of any user may write."""
        return self.folder / "jobs"

    def write(self) -> None:
        """Make the folders and write the files, readable to other users."""
        self.folder.chmod(0o755)
        for name in ("munge", "log", "state", *self.nodes, "jobs"):
            (self.folder / name).mkdir(mode=0o755)
        self.jobs.chmod(0o1777)
        key = self.folder / "munge/key"
        key.touch(mode=0o600)
        key.write_bytes(token_bytes(128))
        gpus = make_gpus(self.folder)
        self.slurm_conf.write_text(self.slurm_conf_text(gpus))
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/gpu[0-{GPUS_PER_NODE - 1}]\n" * gpus)
        (self.folder / "cgroup.conf").touch()
        if self.accounting:
            slurmdbd_conf = self.folder / "slurmdbd.conf"
            slurmdbd_conf.touch(mode=0o600)
            slurmdbd_conf.write_text(self.slurmdbd_conf_text())

    def slurm_conf_text(self, gpus: bool) -> str:
        """Timeouts are as short as 22.05 takes them: a node is lost in seconds, a requeued job waits for 6 s."""
        host = socket.gethostname().split(".")[0]
        ctld_port, _, *node_ports = self.ports
        gres = f" Gres=gpu:{GPUS_PER_NODE}" if gpus else ""
        nodes = "".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=64 RealMemory=20000{gres}\n"
            for name, port in zip(self.nodes, node_ports, strict=True)
        )
        return f"""\
ClusterName={self.name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmUser=root
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmctldLogFile={self.folder}/log/slurmctld
SlurmctldDebug=verbose
StateSaveLocation={self.folder}/state
SlurmdPidFile={self.folder}/%n.pid
SlurmdLogFile={self.folder}/log/%n
SlurmdDebug=verbose
SlurmdSpoolDir={self.folder}/%n
SlurmdParameters=config_overrides
AuthInfo=socket={self.socket},cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout={self.patience_s}
MessageTimeout={self.patience_s}
KillWait=5
WaitTime=2
MinJobAge={self.min_job_age_s}
FirstJobId={first_port() + DAEMONS_PORTS - 10000}
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{self.accounting_text(gpus)}{"GresTypes=gpu" if gpus else ""}
{nodes}\
PartitionName=DEFAULT Nodes=ALL MaxTime=1:00:00 MaxNodes={len(self.nodes)} PreemptMode=OFF
PartitionName=main Default=YES
PartitionName=tiny MaxTime=1
PartitionName=low PriorityTier=1 PreemptMode=REQUEUE
PartitionName=high PriorityTier=2
"""

    def accounting_text(self, gpus: bool) -> str:
        """Where jobs are accounted for, if at all."""
        if not self.accounting:
            return ""
        return f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self.ports[1]}
AccountingStoragePass={self.socket}
AccountingStoreFlags=job_script,job_env
JobAcctGatherType=jobacct_gather/linux
{"AccountingStorageTRES=gres/gpu" if gpus else ""}
{"AccountingStorageEnforce=associations,limits,qos" if self.limits else ""}
"""

    def slurmdbd_conf_text(self) -> str:
        """The database's port is never used: MYSQL_UNIX_PORT names its socket."""
        return f"""\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self.ports[1]}
SlurmUser=root
PidFile={self.folder}/slurmdbd.pid
LogFile={self.folder}/log/slurmdbd
AuthType=auth/munge
AuthInfo=socket={self.socket}
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def make_gpus(folder: Path) -> bool:
    """Device nodes that stand in for GPUs; False where the kernel refuses them, as some containers do."""
    with suppress(PermissionError):
        for number in range(GPUS_PER_NODE):
            os.mknod(folder / f"gpu{number}", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        return True
    return False


def cluster_ports(nodes: int) -> tuple[int, ...]:
    """Free ports for slurmctld, slurmdbd and each slurmd, from where no outgoing connection takes them meanwhile."""
    ports: set[int] = set()
    while len(ports) < 2 + nodes:
        port = first_port() + randbelow(DAEMONS_PORTS)
        if port in TAKEN:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            TAKEN.add(port)
            ports.add(port)
    return tuple(ports)


def first_port() -> int:
    """Where this process's ports begin."""
    return FIRST_PORT + PORTS_A_PROCESS * (os.getpid() % 50)
