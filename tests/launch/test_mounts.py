"""CONTAINER_MOUNTS."""

import pytest

from harness.launch.mounts import Mount, parse_mounts, source_of


def test_all_three_forms() -> None:
    assert parse_mounts("/a:/b:ro, /c:/d,/e") == (
        Mount(source="/a", target="/b", read_only=True),
        Mount(source="/c", target="/d"),
        Mount(source="/e", target="/e"),
    )
    assert parse_mounts("") == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("data:/data", "'data' is not an absolute path"),
        ("/a:b", "'b' is not an absolute path"),
        ("/a:/b:ro:/c", "too many parts"),
        ("/a:/b:xx", "unknown mode"),
        ("/a,,/b", "'' is not an absolute path"),
        ("/my data:/data", "holds white space"),
        ('/a"$(x)":/b', "holds white space, a quote"),
    ],
)
def test_traps_are_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="entry") as caught:
        parse_mounts(text)
    assert reason in str(caught.value)


def test_the_nearest_mount_says_where_a_path_is_on_the_host() -> None:
    mounts = parse_mounts("/lustre:/data,/nvme:/data/hot")
    assert source_of("/data/a/b", mounts) == "/lustre/a/b"
    assert source_of("/data/hot/b", mounts) == "/nvme/b"
    assert source_of("/database/x", mounts) is None
