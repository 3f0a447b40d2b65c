"""Chat templates of the kinds that public checkpoints have, written short, and tokenizers that know their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.data_gen.tokenizers import CHATML, byte_level, llama2, metaspace, unigram

LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system = false %}{% endif %}"
    "{% for m in loop_messages %}{% if m['role'] == 'user' %}{{ bos_token + '[INST] ' }}"
    "{% if loop.first and system %}{{ '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' }}{% endif %}"
    "{{ m['content'] | trim + ' [/INST]' }}{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
)
LLAMA3 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start|>system<|stop|>\\n\\nToday Date: " + date_string + "\\n\\n" + system_message + "<|eot|>" }}
{%- for message in messages %}
    {{- '<|start|>' + message['role'] + '<|stop|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start|>assistant<|stop|>\\n\\n' }}
{%- endif %}
"""
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}"
)
PHI3 = (
    "{% for message in messages %}{{'<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"
)
GLM = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}"
    "{% elif m['role'] == 'system' %}{{ m['content'] + '\\n\\n' }}{% else %}"
    "{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT: ' }}{% endif %}"
)
THINKING = CHATML.replace("assistant\\n' }}{% endif %}", "assistant\\n<think>\\n' }}{% endif %}")
"""Opens the thoughts itself, as DeepSeek-R1's."""
FORGETFUL = CHATML.replace(
    "m['content']", "(m['content'].split('</think>')[-1] if m['role'] == 'assistant' else m['content'])"
)
"""Drops the thoughts of earlier turns, as Qwen3's and DeepSeek-R1's."""


@dataclass(frozen=True)
class Sample:
    """A tokenizer with a template, and the token that ends its turns."""

    tokenizer: Any
    end: str
    system: bool = True
    """Whether it takes a system text."""


def _byte_level(template: str, *special: str, **named: str) -> Any:
    return byte_level(template=template, special=["<|endoftext|>", "<bos>", *special], bos_token="<bos>", **named)


@cache
def samples() -> dict[str, Sample]:
    """Name -> sample."""
    chatml = ("<|im_start|>", "<|im_end|>")
    return {
        "chatml": Sample(_byte_level(CHATML, *chatml), "<|im_end|>"),
        "chatml_eos": Sample(
            _byte_level(CHATML, *chatml, eos_token="<|im_end|>", pad_token="<|im_end|>"), "<|im_end|>"
        ),
        "thinking": Sample(_byte_level(THINKING, *chatml), "<|im_end|>"),
        "llama2": Sample(llama2(template=LLAMA2), "</s>"),
        "llama2_first": Sample(metaspace("first", template=LLAMA2), "</s>"),
        "llama2_unigram": Sample(unigram(template=LLAMA2, frame="$A"), "</s>"),
        "llama3": Sample(_byte_level(LLAMA3, "<|start|>", "<|stop|>", "<|eot|>"), "<|eot|>"),
        "gemma": Sample(_byte_level(GEMMA, "<start_of_turn>", "<end_of_turn>"), "<end_of_turn>", system=False),
        "gemma_llama2": Sample(llama2(template=GEMMA.replace("<end_of_turn>", "</s>")), "</s>", system=False),
        "phi3": Sample(_byte_level(PHI3, "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"), "<|end|>"),
        "glm": Sample(_byte_level(GLM, "<|user|>", "<|assistant|>", "<|system|>"), "<|endoftext|>"),
        "vicuna": Sample(llama2(template=VICUNA), "</s>"),
    }
