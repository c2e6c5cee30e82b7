"""The reasons for which Slurm leaves a job pending: what each means, whether it can clear, and what to change.

The reasons are those of squeue's manual, and of `job_reason_string` in Slurm's source (21.08 to 25.05).
"""

import re
from typing import NamedTuple


class PendingReason(NamedTuple):
    """One reason, or several that mean the same. `pattern` fits the whole of what squeue shows, case aside.

    `never`: the job can never start. `conclusive` is False for what Slurm shows before it has looked closer.
    """

    pattern: str
    meaning: str
    fix: str
    never: bool = False
    conclusive: bool = True


def find_reason(shown: str) -> PendingReason | None:
    """Find the reason that squeue shows; None for one that is not known here."""
    text = shown.replace("_", " ").strip()
    return next((it for it in _REASONS if re.fullmatch(it.pattern, text, re.IGNORECASE)), None)


def _never(pattern: str, meaning: str, fix: str, *, conclusive: bool = True) -> PendingReason:
    return PendingReason(pattern=pattern, meaning=meaning, fix=fix, never=True, conclusive=conclusive)


def _waits(pattern: str, meaning: str, fix: str = "", *, conclusive: bool = True) -> PendingReason:
    return PendingReason(pattern=pattern, meaning=meaning, fix=fix, conclusive=conclusive)


_REASONS = (
    # What no waiting clears
    _never(
        r"PartitionTimeLimit|QOSTimeLimit",
        "RUN_TIME is longer than the partition allows",
        "lower RUN_TIME, or set PARTITION to one with a longer limit: sinfo -o '%P %l'",
    ),
    _never(
        r"PartitionNodeLimit",
        "NNODES is more, or fewer, than the partition allows a job",
        "change NNODES, or set PARTITION to one that is large enough: sinfo -o '%P %D %s'",
    ),
    _never(
        r"PartitionConfig",
        "no set of the partition's nodes has what the job asks for",
        "compare NNODES, GPUS_PER_NODE and SBATCH_ARGS with sinfo -o '%P %D %c %m %G'",
        conclusive=False,
    ),
    _never(
        r"BadConstraints|Constraints",
        "no node satisfies what the job asks for",
        "correct --constraint, --nodelist or --gres in SBATCH_ARGS: sinfo -o '%N %f %G'",
    ),
    _never(
        r"InvalidAccount|AccountNotAllowed|AccountingPolicy|.*invalid account.*",
        "the account may not be used here",
        "set ACCOUNT to one of: sacctmgr show assoc user=$USER format=account,partition,qos",
    ),
    _never(
        r"InvalidQOS|QOSNotAllowed",
        "the quality of service may not be used here",
        "give --qos in SBATCH_ARGS as one of: sacctmgr show assoc user=$USER format=account,qos",
    ),
    _never(
        r"(QOS|Assoc)?Max\w*PerJob(Limit)?|(QOS|Assoc)Max\w*PerNode(Limit)?|MaxMemPerLimit",
        "the job asks for more than your account or quality of service allows one job",
        "lower NNODES or RUN_TIME, or use another ACCOUNT or --qos: sacctmgr show qos format=name,maxtres,maxwall",
    ),
    _never(
        r"QOSMin\w*",
        "the job asks for less than the quality of service demands",
        "raise NNODES, or give another --qos in SBATCH_ARGS: sacctmgr show qos format=name,mintres",
    ),
    _never(
        r"DependencyNeverSatisfied",
        "the job that this one depends on did not end as the dependency asks",
        "submit without --dependency, or with afterany",
    ),
    _never(r"ReservationDeleted", "the reservation is no more", "submit without --reservation"),
    _never(
        r"DeadLine(Limit)?",
        "the job cannot end before its deadline",
        "lower RUN_TIME, or leave --deadline out of SBATCH_ARGS",
    ),
    # What has to be cleared by someone
    _waits(r"JobHeldUser", "the job is held by its user", "scontrol release JOBID"),
    _waits(r"JobHeldAdmin", "the job is held by an admin", "ask the admins"),
    _waits(
        r"launch failed requeued held|job requeued in held state|JobHoldMaxRequeue|MaxRequeueExceeded",
        "Slurm could not start it, or requeued it too often, and holds it",
        "scontrol release JOBID once the cause is mended",
    ),
    _waits(r"PartitionDown|PartitionInactive", "the partition is not in service", "wait for it, or set PARTITION"),
    _waits(
        r"ReqNodeNotAvail.*|NodeDown|Nodes required for job are DOWN.*|NotAvail.*",
        "nodes that it needs are down, drained or reserved",
        "wait for them, or leave --nodelist and --exclude out of SBATCH_ARGS: sinfo -R",
    ),
    _waits(
        r"QOSUsageThreshold",
        "your account has used so much that its quality of service holds the job until that has decayed",
        "wait, or give another --qos in SBATCH_ARGS",
    ),
    _waits(r"Licenses", "it waits for a licence that others use"),
    _waits(r"Reservation", "it waits for its reservation to begin: scontrol show reservation"),
    # What clears with time
    _waits(r"Resources", "it is the next, as soon as enough nodes are free"),
    _waits(r"Priority", "jobs of a higher priority are before it", conclusive=False),
    _waits(r"Dependency", "it waits for the job that it depends on"),
    _waits(r"BeginTime", "its start was put off: by --begin, or for a moment after a requeue"),
    _waits(r"JobArrayTaskLimit|ArrayTaskLimit", "as many tasks of its array run as may at once"),
    _waits(r"Prolog|Cleaning|WaitForScheduling|NodesBooting|.*power.*", "its nodes are being made ready"),
    _waits(
        r"(QOS|Assoc)\w*Grp\w*|(QOS|Assoc)Max\w*|QOSJobLimit|QOSResourceLimit|AssociationJobLimit|AssocJobLimit"
        r"|AssociationResourceLimit|AssocResourceLimit|AssociationTimeLimit|AssocTimeLimit|QOSGrp\w*",
        "your account, or you, use all that its limits allow; it starts when others of them end",
        "if nothing else of yours runs, the limit is too small for the job: lower NNODES",
    ),
    _waits(r"BurstBuffer\w*|FedJobLock|InvalidBBSpec|SchedDefer|SystemFailure", "Slurm itself is busy with it"),
)
"""The first that matches counts."""
