"""What recipes may say of vLLM, and what they hear where it is not installed. Runs without vLLM."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from data_gen.engines.config import VllmConfig
from data_gen.engines.vllm.engine import VllmEngine
from data_gen.errors import UserError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model", "the stage sets it"),
        ("logprobs_mode", "the stage sets it"),
        ("max_num_seqs", "say `slots`"),
        ("tensor_parallel_size", "say `tensor_parallel`"),
        ("block_size", "say `block_size` beside `args`"),
        ("trust_remote_code", "remote code is never run"),
    ],
)
def test_settings_with_a_field_of_their_own_are_not_taken_as_args(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is refused: {hint}"):
        VllmConfig(args={name: 1})


def test_other_args_keep_their_types_and_slots_decide_how_many_programs_live() -> None:
    config = VllmConfig(
        slots=64, args={"max_num_batched_tokens": 4096, "quantization": "fp8", "enable_chunked_prefill": False}
    )
    assert list(map(type, config.args.values())) == [int, str, bool]
    assert config.in_flight(8) == 17
    with pytest.raises(ValueError, match="tensor_parallel"):
        VllmConfig(tensor_parallel=0)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_where_vllm_is_not_installed_the_message_says_how_to_get_it() -> None:
    with pytest.raises(
        UserError, match=r"cannot be imported \(No module named 'vllm'\).*pip install 'reasoning-train\[vllm\]'"
    ):
        VllmEngine(Path("model"), end_ids=())
