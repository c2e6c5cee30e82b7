"""What counts as a secret, by its name and by its shape, and what is left of a text that holds one."""

import pytest

from harness.config.secrets import is_secret, named_in, scrub, scrub_shapes, secret_values

HEX = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "HF_TOKEN", "KEY", "my_secret", "DB_PASSWORD"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["TOKENIZER_MODEL", "NCCL_IB_PKEY", "KEYS", "MONKEY", "TOKEN_COUNT"])
def test_names_that_only_look_alike(name: str) -> None:
    assert not is_secret(name)


def test_a_value_of_eight_characters_is_a_secret_and_a_shorter_one_no_more_than_a_word() -> None:
    env = {"A_KEY": "12345678", "B_KEY": "1234567", "PATH": "/usr/local/bin"}
    assert secret_values(env, {"HF_TOKEN": "hf-secret-1"}) == {"12345678", "hf-secret-1"}
    assert named_in(["x 12345678 1234567 /usr/local/bin"], env) == ["A_KEY"]
    assert named_in(["it'\"'\"'s secret"], {"A_KEY": "it's secret"}) == ["A_KEY"]
    assert named_in(["nothing"], env) == []


def test_secrets_are_struck_out_wherever_they_stand() -> None:
    document = {"argv": ["--key=12345678", 1, None], "env": {"12345678": "a12345678b"}}
    assert scrub(document, ["12345678"]) == {"argv": ["--key=***", 1, None], "env": {"***": "a***b"}}


@pytest.mark.parametrize("text", [f"hf_{'a' * 20}", f"wandb_v1_{'b' * 20}", HEX])
def test_what_has_the_shape_of_a_key_is_struck_out(text: str) -> None:
    assert scrub_shapes([f"before {text} after"]) == ["before *** after"]


@pytest.mark.parametrize("text", [f"hf_{'a' * 19}", f"snapshots/{HEX}", HEX[:-1], f"{HEX}0"])
def test_what_has_not_stays(text: str) -> None:
    assert scrub_shapes(text) == text
