"""Layers and rules resolve into one `Resolved`. Pure: files and environment come in as layers."""

from collections.abc import Mapping, Sequence

from harness.config import rules
from harness.config.adapt import adapt
from harness.config.draft import Draft
from harness.config.flags import FlagTable, parse_flags, shaped
from harness.config.interpolate import Unset, Variables, interpolate_value
from harness.config.layers import Layer, merge
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Entry, History, Resolved, SettingValue
from harness.config.releases import Catalogue, Release, load
from harness.config.secrets import SECRETS
from harness.config.settings import absolute_paths, as_texts, parse_settings, unknown_settings, variables
from harness.errors import ConfigError


def resolve(
    layers: Sequence[Layer], extra: Sequence[str], environ: Mapping[str, str], *, here: str, gpus: int = 0
) -> Resolved:
    """Merge the layers (lowest first) and the extra flags, apply the rules, fit the release.

    `environ` serves `${NAME}` in files and holds the secrets that the job will have; `gpus` is what this machine has,
    for DEVICE=auto; `here` is the folder that relative paths start from. ConfigError holds every mistake.
    """
    setting_origins = merge(layers, "settings")
    problems = unknown_settings(setting_origins)
    env_origins = merge(layers, "env")
    settings = parse_settings(setting_origins, variables(environ, setting_origins, env_origins), problems)
    if problems:
        raise ConfigError(problems)
    catalogue = _catalogue(settings, setting_origins)
    home = environ.get("HOME", here)
    draft = Draft(
        settings=absolute_paths(settings, here=here, home=home),
        setting_origins=setting_origins,
        release=catalogue.release,
        te=Release.parse(str(settings["TE_VERSION"] or "0.0")),
        has_secret=frozenset(SECRETS & environ.keys()),
        flags=FlagTable(catalogue),
        here=here,
        home=home,
        gpus=gpus,
        env_origins=env_origins,
    )
    _resolve_flags(draft, layers, extra, catalogue, environ)
    return _finish(draft)


def _resolve_flags(
    draft: Draft, layers: Sequence[Layer], extra: Sequence[str], catalogue: Catalogue, environ: Mapping[str, str]
) -> None:
    draft.env = _interpolate_env(draft, environ)
    written = merge(layers, "flags")
    rules.apply(rules.BEFORE_FLAGS, draft)
    lookup = _lookup(draft, environ)
    for flag, history in written.items():
        for entry in history:
            _put(draft, catalogue, flag, entry, lookup, last=entry is history[-1])
    for flag, entry in parse_flags(extra, catalogue, "extra flags"):
        draft.flags.put(flag, entry)
    rules.apply(rules.RULES, draft)
    adapt(draft, catalogue)


def _finish(draft: Draft) -> Resolved:
    if draft.problems:
        raise ConfigError(draft.problems)
    return Resolved(
        settings=draft.settings,
        megatron_args=draft.flags.args(),
        env=draft.env,
        origins={**draft.setting_origins, **draft.env_origins, **draft.flags.histories()},
        notices=(*draft.notices, *draft.blockers),
        blockers=tuple(draft.blockers),
    )


def _catalogue(settings: Mapping[str, SettingValue], histories: Mapping[str, History]) -> Catalogue:
    name = "MCORE_RELEASE_VERSION"
    try:
        return load(str(settings[name] or ""))
    except ConfigError as error:
        raise ConfigError(f"{histories[name][-1].origin}: {name}: {error}") from None


def _interpolate_env(draft: Draft, environ: Mapping[str, str]) -> dict[str, str]:
    lookup = _lookup(draft, environ)
    env: dict[str, str] = {}
    for name, history in draft.env_origins.items():
        winner = history[-1]
        text = str(winner.value)
        try:
            env[name] = str(interpolate_value(text, lookup)) if winner.origin.path else text
        except Unset as unset:
            draft.problems.append(f"{winner.origin}: {name}: {unset}")
    return env


def _lookup(draft: Draft, environ: Mapping[str, str]) -> Variables:
    known = {name: (text, False) for name, text in {**draft.env, **as_texts(draft.settings)}.items()}
    return Variables(known, environ)


def _put(draft: Draft, catalogue: Catalogue, flag: str, entry: Entry, lookup: Variables, *, last: bool) -> None:
    """One written flag. Only the winner's `${NAME}` must have a value; losers are kept for `explain` as written."""
    value: ArgValue = entry.value if isinstance(entry.value, (bool, tuple)) else str(entry.value)
    try:
        value = shaped(catalogue.option(flag), interpolate_value(value, lookup))
    except Unset as unset:
        if last:
            draft.problems.append(f"{entry.origin}: {flag}: {unset}")
            return
    except ValueError as error:  # a list whose quotes do not close
        draft.problems.append(f"{entry.origin}: {flag}: {error}")
        return
    draft.flags.put(flag, Entry(value=value, origin=entry.origin))
