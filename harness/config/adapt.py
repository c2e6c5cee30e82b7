"""Fit the flags to one Megatron release: other names, notices for what it lacks, and every mistake at once."""

from harness.config.draft import Draft
from harness.config.provenance import Entry, Origin
from harness.config.releases import Catalogue, check, releases_with

# The same thing under another name, where the release has only that.
OTHER_NAMES = {"--moe-router-padding-for-quantization": "--moe-router-padding-for-fp8"}
# Without these the numbers are the same, only slower or less watched.
SPEED_ONLY = frozenset(
    {
        "--cross-entropy-fusion-impl",
        "--delay-wgrad-compute",
        "--enable-experimental",
        "--log-device-memory-used",
        "--log-memory-interval",
        "--moe-deepep-num-sms",
        "--moe-hybridep-num-sms",
        "--moe-router-fusion",
        "--moe-router-padding-for-fp8",
        "--moe-router-padding-for-quantization",
        "--overlap-moe-expert-parallel-comm",
        "--reuse-grad-buf-for-mxfp8-param-ag",
    }
)
# Without these it is another model or another routing. They are dropped with a notice, since the release could not be
# benchmarked at all.
MEANING_LOST = {
    "--mtp-num-layers": "trains without multi-token prediction",
    "--mtp-loss-scaling-factor": "",  # the notice of --mtp-num-layers covers it
    "--moe-shared-expert-gate": "builds the shared experts without their gate, so published checkpoints do not fit",
    "--moe-router-dtype": "routes in the model's precision",
    "--moe-router-force-load-balancing": "cannot force balance: the router routes",
}

# Without these a published checkpoint loads without complaint and computes something else.
WEIGHTS_LOST = frozenset({"--moe-shared-expert-gate"})


def adapt(draft: Draft, catalogue: Catalogue) -> None:
    """Rename or drop what the release does not have, then check every flag and value against its own parser."""
    for flag, entry in draft.flags:
        if catalogue.option(flag) is None:
            _without(draft, catalogue, flag, entry)
    for flag, entry in draft.flags:
        option = catalogue.option(flag)
        value = entry.value
        if option is None or value is None:
            continue
        found = check(option, value if isinstance(value, (bool, tuple)) else str(value))
        if found:
            draft.problems.append(f"{entry.origin}: {found}")


def _without(draft: Draft, catalogue: Catalogue, flag: str, entry: Entry) -> None:
    release = f"Megatron {catalogue.version}"
    other = OTHER_NAMES.get(flag)
    if entry.value is False and releases_with(flag):
        draft.flags.drop(flag)  # off, which is what a release without the flag is
    elif other and catalogue.option(other):
        origin = Origin(layer=f"rule other-name ({flag})", path=entry.origin.path, line=entry.origin.line)
        draft.flags.replace(flag, [(other, Entry(value=entry.value, origin=origin))])
    elif flag in MEANING_LOST:
        draft.flags.drop(flag)
        if MEANING_LOST[flag]:
            messages = draft.blockers if flag in WEIGHTS_LOST and draft.flags.has("--load") else draft.notices
            messages.append(f"{release} has no {flag}: it {MEANING_LOST[flag]}")
    elif flag in SPEED_ONLY:
        draft.flags.drop(flag)
        draft.notices.append(f"{release} has no {flag}; left out, which changes its speed only")
    else:
        draft.flags.drop(flag)
        draft.problems.append(_unknown(catalogue, flag, entry))


def _unknown(catalogue: Catalogue, flag: str, entry: Entry) -> str:
    where = f"{entry.origin}: "
    if not flag.startswith("--"):
        return f"{where}{flag!r} is no flag; Megatron's flags start with --, and KEY=VALUE words go before the --"
    have = releases_with(flag)
    if have:
        span = have[0] if have[0] == have[-1] else f"{have[0]} to {have[-1]}"
        lacks = f"{flag}: Megatron {catalogue.version} does not have it, {span} has"
        return f"{where}{lacks}; leave it out or change MCORE_RELEASE_VERSION"
    return f"{where}unknown flag {flag}; {catalogue.nearest(flag)}"
