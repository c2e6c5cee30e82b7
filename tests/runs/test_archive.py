"""Runs go into an archive and come out the same, without their makers where asked; nothing else comes out."""

import io
import json
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from stored_records import RECORDS, load_version

from harness.errors import ConfigError, EnvironmentProblem
from harness.evaluation.result import CheckpointFigures, EvaluationResult
from harness.runs.archive.pack import pack_runs
from harness.runs.archive.scrub import Scrubber
from harness.runs.archive.unpack import unpack_runs
from harness.runs.record_file import save
from harness.runs.samples_file import load_samples
from harness.runs.store import StoredRun, find_run, list_runs

RUN = replace(load_version(3), run_id="a-run")
SECRET = "s3cr3t-value-of-wandb"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A training with samples, a log, a checkpoint and a result, and an evaluation whose result lies elsewhere."""
    root = tmp_path / "alice/runs"
    folder = root / "a-run"
    (folder / "eval").mkdir(parents=True)
    (folder / "checkpoints/iter_0000010").mkdir(parents=True)
    (folder / "checkpoints/iter_0000010/x.distcp").write_bytes(bytes(range(256)))
    (folder / "log").write_text(f"0: node1 wrote {folder}/checkpoints and /home/alice/x, as alice@corp.example\n")
    (folder / "samples.jsonl").write_text('{"iteration": 1, "step_s": 2.0}\n{"iteration": 2, "step_s": 2.5}\n')
    (folder / "eval/eval_results_1_1.json").write_text(
        json.dumps({"output_file": f"{folder}/eval/eval_results_1_1.json"})
    )
    paths = {"root": str(folder), "log": f"{folder}/log"}
    save(replace(RUN, paths=paths), folder / "record.json", {})
    (tmp_path / "else").mkdir()
    (tmp_path / "else/eval_results_2_2.json").write_text('{"loss": 2.5}')
    figures = CheckpointFigures(
        checkpoint=f"{folder}/checkpoints/iter_0000010", output_file=f"{tmp_path}/else/eval_results_2_2.json"
    )
    (root / "an-eval").mkdir()
    evaluation = replace(RUN, run_id="an-eval", kind="evaluation", result=EvaluationResult(evaluated=(figures,)))
    save(evaluation, root / "an-eval/record.json", {})
    return root


def runs_in(root: Path) -> list[StoredRun]:
    return sorted(list_runs(root).runs, key=lambda run: run.record.run_id)


def texts(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.rglob("*")) if path.is_file())


def archive_of(path: Path, members: Mapping[str, Any]) -> Path:
    """An archive of anything: bytes, or a tar entry."""
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as stream:
        with tarfile.open(fileobj=stream, mode="w|") as archive:
            for name, content in members.items():
                if isinstance(content, tarfile.TarInfo):
                    archive.addfile(content)
                    continue
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def resealed(path: Path, changes: Mapping[str, bytes]) -> Path:
    """The archive with other files, its manifest as it should be then."""
    from hashlib import sha256

    members = {**members_of(path), **changes}
    manifest = json.loads(members.pop("manifest.json"))
    manifest["sha256"] = {name: sha256(content).hexdigest() for name, content in members.items()}
    return archive_of(path, {**members, "manifest.json": json.dumps(manifest).encode()})


def test_what_goes_in_comes_out_where_it_now_is(root: Path, tmp_path: Path) -> None:
    packed = pack_runs(runs_in(root), tmp_path / "x.tar.zst")
    assert (packed.runs, packed.left_out) == (("a-run", "an-eval"), ())
    here = tmp_path / "here"
    assert unpack_runs(tmp_path / "x.tar.zst", here).imported == ("a-run", "an-eval")
    training, evaluation = runs_in(here)
    before = find_run(root, "a-run")
    assert replace(training.record, paths={}) == replace(before.record, paths={})
    assert training.record.paths["root"] == str(here / "a-run")
    assert load_samples(training.paths) == load_samples(before.paths)
    assert not (here / "a-run/log").exists() and not (here / "a-run/checkpoints").exists()
    result = evaluation.record.result
    assert isinstance(result, EvaluationResult)
    assert json.loads(Path(result.evaluated[0].output_file).read_text()) == {"loss": 2.5}
    assert result.evaluated[0].checkpoint == f"{here}/a-run/checkpoints/iter_0000010"
    assert sorted(path.name for path in here.iterdir()) == ["a-run", "an-eval"]
    assert unpack_runs(tmp_path / "x.tar.zst", here).present == ("a-run", "an-eval")


def test_logs_and_checkpoints_where_asked_and_the_same_bytes_each_time(root: Path, tmp_path: Path) -> None:
    for name in ("x", "y"):
        pack_runs(runs_in(root), tmp_path / f"{name}.tar.zst", logs=True, checkpoints=True)
    assert (tmp_path / "x.tar.zst").read_bytes() == (tmp_path / "y.tar.zst").read_bytes()
    unpack_runs(tmp_path / "x.tar.zst", tmp_path / "here")
    assert (tmp_path / "here/a-run/checkpoints/iter_0000010/x.distcp").read_bytes() == bytes(range(256))
    assert "alice" in (tmp_path / "here/a-run/log").read_text()
    (training, _) = runs_in(tmp_path / "here")
    assert training.record.status == "completed"


def test_a_scrubbed_one_names_nobody(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    monkeypatch.setenv("USER", "alice")
    log = root / "a-run/log"
    log.write_text(f"{log.read_text()}0: token={SECRET} https://bob:pw@git.corp.example/x node[1-2] 10.1.2.3 login1\n")
    pack_runs(runs_in(root), tmp_path / "x.tar.zst", scrubbed=True, logs=True)
    unpack_runs(tmp_path / "x.tar.zst", tmp_path / "here")
    (tmp_path / "plain").mkdir()
    for name, content in members_of(tmp_path / "x.tar.zst").items():
        (tmp_path / "plain" / name.replace("/", "-")).write_bytes(content)
    text = texts(tmp_path / "plain")
    for word in (
        "alice",
        "node1",
        "node[1-2]",
        "login1",
        "alps",
        SECRET,
        "corp.example",
        "10.1.2.3",
        "/data/",
        str(root),
    ):
        assert word not in text, word
    training, evaluation = runs_in(tmp_path / "here")
    assert training.record.hosts == evaluation.record.hosts == (training.record.attempts[0].nodes[0],)
    assert training.record.revision == RUN.revision and training.record.status == "completed"
    assert training.record.resolved.settings == RUN.resolved.settings
    assert training.record.result == replace(
        RUN.result,  # type: ignore[type-var]
        in_effect=replace(RUN.result.in_effect, hosts=training.record.hosts),  # type: ignore[union-attr]
    )


@given(
    user=st.from_regex(r"[a-z]{4,8}_x", fullmatch=True),
    host=st.from_regex(r"n[a-z]{3}[0-9]{2}", fullmatch=True),
    form=st.sampled_from(
        ["{u}", "/home/{u}/a b", "ssh {u}@{h}", "x={h}:/w/{u}", "[{h}]", "{h}.corp: died", '"/w/{u}/z"']
    ),
)
def test_known_names_never_stay_and_are_one_word_each(user: str, host: str, form: str) -> None:
    scrubber = Scrubber(users=[user], hosts=[host], accounts=(), secrets=())
    text = form.format(u=user, h=host)
    shown = scrubber.values({"a": [text, {"b": text}]})
    assert user not in json.dumps(shown) and host not in json.dumps(shown)
    assert shown["a"][0] == shown["a"][1]["b"] == scrubber.text(text)


INNOCENT = (
    "16,023 tokens/s/GPU",
    "${RUN_DIR}/checkpoints",
    "and/or",
    "--moe-token-dispatcher-type",
    "also",
    "1/2",
    "model_configs/benchmarking/x.yaml",
    "EP=4 MBS=2",
    "2.21.5+cuda12.9",
    "2026-01-31T12:00:00Z",
)


def test_innocent_texts_stay() -> None:
    scrubber = Scrubber(users=["al"], hosts=["vm"], accounts=(), secrets=())
    for text in INNOCENT:
        assert scrubber.text(text) == text
    assert scrubber.text("/w/x/model_configs/benchmarking/x.yaml") == "/dir-1/dir-2/model_configs/benchmarking/x.yaml"


def test_what_keeps_an_archive_from_being_written_is_told_at_once(root: Path, tmp_path: Path) -> None:
    save(replace(RUN, status="running"), root / "a-run/record.json", {})
    (tmp_path / "x.tar").write_text("mine")
    with pytest.raises(ConfigError) as raised:
        pack_runs(runs_in(root), tmp_path / "x.tar", scrubbed=True, checkpoints=True)
    assert len(raised.value.problems) == 3
    assert "a-run: is running; export it when it has ended" in str(raised.value)
    (tmp_path / "x.tar.zst").write_text("mine")
    with pytest.raises(ConfigError, match="is there already; --overwrite replaces it"):
        pack_runs(runs_in(root)[1:], tmp_path / "x.tar.zst")
    assert (tmp_path / "x.tar.zst").read_text() == "mine"
    pack_runs(runs_in(root)[1:], tmp_path / "x.tar.zst", overwrite=True)
    with pytest.raises(EnvironmentProblem, match="no archive was written"):
        pack_runs(runs_in(root)[1:], tmp_path / "none/x.tar.zst")


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


HOSTILE: dict[str, Any] = {
    "../out": b"x",
    "/tmp/out": b"x",
    "a-run/../../out": b"x",
    "a-run/eval/../../../out": b"x",
    "a-run/script.sh": b"x",
    ".submitted/record.json": b"x",
    "a-run/eval//x": b"x",
    "a-run/eval/a\\b": b"x",
    "a-run/log": link("a-run/log", tarfile.SYMTYPE, "/etc/passwd"),
    "a-run/samples.jsonl": link("a-run/samples.jsonl", tarfile.LNKTYPE, "a-run/record.json"),
    "a-run/eval": link("a-run/eval", tarfile.SYMTYPE, "/tmp"),
    "a-run/eval/pipe": link("a-run/eval/pipe", tarfile.FIFOTYPE, ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_leads_out_of_a_run_is_refused_whole(name: str, tmp_path: Path) -> None:
    record = (RECORDS / "version-3.json").read_bytes()
    path = archive_of(tmp_path / "x.tar.zst", {"a-run/record.json": record, name: HOSTILE[name]})
    with pytest.raises(ConfigError, match="refused whole"):
        unpack_runs(path, tmp_path / "deep/here")
    assert list((tmp_path / "deep/here").iterdir()) == []
    assert not (tmp_path / "out").exists() and not (tmp_path / "deep/out").exists()


def test_torn_newer_and_unfinished_records_are_told_and_the_others_come(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.tar.zst"
    good = runs_in(root)[0]
    others = [replace(good, record=replace(good.record, run_id=name)) for name in ("newer", "running", "torn", "v1")]
    pack_runs([good, *others], path)
    record = json.loads((root / "a-run/record.json").read_text())
    old = json.loads((RECORDS / "version-1.json").read_text())
    wrong = {
        "newer": json.dumps({**record, "schema_version": 99}),
        "running": json.dumps({**record, "run_id": "running", "status": "running"}),
        "torn": json.dumps(record)[:500],
        "v1": json.dumps({**old, "run_id": "v1"}),
    }
    resealed(path, {f"{name}/record.json": text.encode() for name, text in wrong.items()})
    unpacked = unpack_runs(path, tmp_path / "here")
    assert unpacked.imported == ("a-run", "v1")
    assert "99 is newer than this moe-harness" in unpacked.refused["newer"]
    assert "still running" in unpacked.refused["running"] and "damaged" in unpacked.refused["torn"]
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["a-run", "v1"]


def test_a_damaged_cut_off_or_newer_archive_brings_nothing(root: Path, tmp_path: Path) -> None:
    path, here = tmp_path / "x.tar.zst", tmp_path / "here"
    pack_runs(runs_in(root), path)
    whole, members = path.read_bytes(), members_of(path)
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(ConfigError, match="nothing was imported"):
            unpack_runs(path, here)
    manifest = json.loads(members["manifest.json"])
    without = {name: content for name, content in members.items() if name != "manifest.json"}
    newer = {**manifest, "format_version": 2}
    for changed, said in (
        (without, "cut off"),
        ({**members, "a-run/record.json": b"{}"}, "its files are not those of its manifest"),
        ({**without, "manifest.json": json.dumps(newer).encode()}, "its format, 2, is newer"),
    ):
        with pytest.raises(ConfigError, match=said):
            unpack_runs(archive_of(path, changed), here)
    assert list(here.iterdir()) == []
    with pytest.raises(ConfigError, match="no such file"):
        unpack_runs(tmp_path / "none.tar.zst", here)


def test_a_run_that_is_here_is_never_written_over(root: Path, tmp_path: Path) -> None:
    pack_runs(runs_in(root), tmp_path / "x.tar.zst")
    unpack_runs(tmp_path / "x.tar.zst", tmp_path / "here")
    save(replace(RUN, status="failed"), tmp_path / "here/a-run/record.json", {})
    before = texts(tmp_path / "here")
    with pytest.raises(ConfigError, match="another run of this id is here"):
        unpack_runs(tmp_path / "x.tar.zst", tmp_path / "here")
    assert texts(tmp_path / "here") == before


def test_without_zstandard_it_says_what_to_install(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'moe-harness\[report\]'"):
        pack_runs(runs_in(root), tmp_path / "x.tar.zst")
