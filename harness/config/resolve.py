"""Layers and rules into one `Resolved`. Pure: what the files and the environment say comes in as layers."""

from collections.abc import Mapping, Sequence

from harness.config import rules
from harness.config.adapt import adapt
from harness.config.draft import Draft, as_texts
from harness.config.flags import FlagTable, parse_words, shaped
from harness.config.interpolate import Unset, Variables, interpolate_value
from harness.config.layers import Layer, merge
from harness.config.megatron_args import ArgValue
from harness.config.provenance import Entry, History, Origin, Resolved, SettingValue
from harness.config.releases import Catalogue, Release, load
from harness.config.schema import SETTINGS
from harness.config.secrets import SECRETS
from harness.errors import ConfigError, nearest


def resolve(
    layers: Sequence[Layer], extra: Sequence[str], environ: Mapping[str, str], *, here: str, gpus: int = 0
) -> Resolved:
    """Merge the layers (lowest first) and the extra flags, apply the rules, fit the release.

    `environ` serves `${NAME}` in files and tells which secrets the job will have; `gpus` is what this machine has,
    for DEVICE=auto; `here` is the folder that relative paths start from. ConfigError holds every mistake.
    """
    setting_origins = merge(layers, "settings")
    problems = _unknown_settings(setting_origins)
    env_origins = merge(layers, "env")
    variables = Variables(_raw_texts(setting_origins, env_origins), environ)
    settings = _parse_settings(setting_origins, variables, problems)
    if problems:
        raise ConfigError(problems)
    catalogue = _catalogue(settings, setting_origins)
    draft = Draft(
        settings=settings,
        setting_origins=setting_origins,
        release=catalogue.release,
        te=Release.parse(str(settings["TE_VERSION"] or "0.0")),
        has_secret=frozenset(SECRETS & environ.keys()),
        flags=FlagTable(catalogue),
        here=here,
        home=environ.get("HOME", here),
        gpus=gpus,
        env_origins=env_origins,
    )
    _resolve_flags(draft, layers, extra, catalogue, environ)
    return _finish(draft)


def _resolve_flags(
    draft: Draft, layers: Sequence[Layer], extra: Sequence[str], catalogue: Catalogue, environ: Mapping[str, str]
) -> None:
    _make_paths_absolute(draft)
    draft.env = _interpolate_env(draft, environ)
    written = merge(layers, "flags")
    rules.apply(rules.BEFORE_FLAGS, draft)
    lookup = _lookup(draft, environ)
    for flag, history in written.items():
        for entry in history:
            _put(draft, catalogue, flag, entry, lookup, last=entry is history[-1])
    for flag, entry in parse_words(extra, catalogue, "extra flags"):
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


def _unknown_settings(histories: Mapping[str, History]) -> list[str]:
    return [
        f"{entry.origin}: {name} is a secret, and files are read by others; export it in the shell that launches"
        if name in SECRETS
        else f"{entry.origin}: unknown setting {name}; {nearest(name, SETTINGS)}"
        for name, history in histories.items()
        if name not in SETTINGS
        for entry in history
    ]


def _raw_texts(*tables: Mapping[str, History]) -> dict[str, tuple[str, bool]]:
    """name → (text, whether `${}` counts in it): it does in files, not in what the user typed."""
    raw: dict[str, tuple[str, bool]] = {}
    for table in tables:
        for name, history in table.items():
            winner = history[-1]
            text = as_texts({name: winner.value if not isinstance(winner.value, tuple) else " ".join(winner.value)})
            if text.get(name):
                raw[name] = (text[name], winner.origin.path is not None)
    return raw


def _parse_settings(
    histories: Mapping[str, History], variables: Variables, problems: list[str]
) -> dict[str, SettingValue]:
    settings: dict[str, SettingValue] = dict.fromkeys(SETTINGS)
    for name, history in histories.items():
        winner = history[-1]
        if name not in SETTINGS or winner.value is None:
            continue
        try:
            raw = variables(name) or ""
        except Unset as unset:
            problems.append(f"{winner.origin}: {name}: {unset}")
            continue
        if mistake := SETTINGS[name].mistake(raw):
            problems.append(f"{winner.origin}: {mistake}")
        else:
            settings[name] = SETTINGS[name].parse(raw)
    return settings


def _make_paths_absolute(draft: Draft) -> None:
    """What can only be a path, and what may also be a name on the Hub or a URI where it says that it is a path."""
    for name, value in draft.settings.items():
        kind, text = SETTINGS[name].kind, str(value or "")
        if (kind == "path" and text) or (kind == "name" and text.startswith(("./", "../", "~/"))):
            draft.settings[name] = draft.absolute(text)


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


def defaults() -> Layer:
    """The lowest layer: what the schema says."""
    origin = Origin(layer="built-in default")
    return Layer(
        settings={
            name: Entry(value=as_texts({name: setting.default})[name], origin=origin)
            for name, setting in SETTINGS.items()
            if setting.default is not None
        }
    )
