"""In what a campaign's manifest differs from the one that it was begun with."""

from collections.abc import Mapping
from pathlib import Path

from harness.errors import ConfigError
from harness.runs.campaign.manifest import CampaignManifest, load_manifest

_DIFFERENCES_SHOWN = 8


def require_same_manifest(folder: Path, manifest: CampaignManifest) -> None:
    """ConfigError says in what a manifest differs from the one that the campaign's folder holds, if it holds one."""
    before = load_manifest(folder)
    found = _differences(before, manifest) if before else []
    if not found:
        return
    more = [f"… and {len(found) - _DIFFERENCES_SHOWN} more"] if len(found) > _DIFFERENCES_SHOWN else []
    raise ConfigError(
        [
            f"sweep {folder.name} was begun with another plan; give another --name, or what it was begun with:",
            *(f"  {text}" for text in [*found[:_DIFFERENCES_SHOWN], *more]),
        ]
    )


def _differences(before: CampaignManifest, now: CampaignManifest) -> list[str]:
    """`TRAIN_ITERS was 50 and is 100`, once for all items, or with the item's name before it."""
    old, new = before.content(), now.content()
    found = [f"{name} was a point and is none now" for name in old if name not in new]
    found += [f"{name} is a point and was none" for name in new if name not in old]
    if before.place != now.place:
        found.append(f"--on was {before.place} and is {now.place}")
    if before.options != now.options:
        found.append(f"options were {' '.join(before.options) or 'none'} and are {' '.join(now.options) or 'none'}")
    items_by_text: dict[str, list[str]] = {}
    shared = [name for name in new if name in old]
    for name in shared:
        for text in _changes(old[name], new[name]):
            items_by_text.setdefault(text, []).append(name)
    resolved = sum(old[name] is not None and new[name] is not None for name in shared)
    for text, names in items_by_text.items():
        found.append(text if len(names) == resolved else f"{', '.join(names)}: {text}")
    return found


def _changes(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> list[str]:
    if old is None or new is None:
        return [] if old is new else [f"the point {'could not' if old is None else 'could'} be resolved then"]
    names = sorted({*old, *new}, key=lambda name: (name.startswith("-"), name))  # settings, then flags
    return [
        f"{name} was {old.get(name, 'unset')} and is {new.get(name, 'unset')}"
        for name in names
        if old.get(name) != new.get(name)
    ]
