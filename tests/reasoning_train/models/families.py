"""What every family of causal language models of the installed transformers can be used for, and small configs of those
whose defaults do not make a model."""

from __future__ import annotations

from typing import Any

import transformers as t

ALL = """
    afmoe apertus arcee aria_text axk1 beam bitnet cohere cohere2 cohere2_moe ctrl cwm deepseek_v2 deepseek_v3
    diffllama emu3 ernie4_5 ernie4_5_moe exaone4 exaone_moe flex_olmo fuyu gemma gemma2 gemma3 gemma3_text
    gemma3n_text gemma4 gemma4_text gemma4_unified gemma4_unified_text glm glm4 glm4_moe glm4_moe_lite got_ocr2
    gpt-sw3 gpt2 gpt_bigcode gpt_neox granite granitemoe granitemoeshared helium hunyuan_v1_dense hunyuan_v1_moe
    hy_v3 hyperclovax internlm3 iquestcoder jais2 jetmoe kolibri1 laguna lfm2 llama longcat_flash mellum
    minicpm3 minimax_m2 minimax_m3_vl_text ministral ministral3 mistral mixtral moss_transcribe_diarize nanochat
    olmo olmo2 olmo3 olmoe opt persimmon phi phi3 phi4_multimodal phimoe qwen2 qwen2_moe qwen3 qwen3_moe
    seed_oss smollm3 solar_open starcoder2 vaultgemma youtu
"""
"""For the engine, every packing and TRL's left padding."""
MASKED = """
    biogpt codegen falcon flint git gpt_neo gpt_neox_japanese gpt_oss gptj granite_swa granitemoe_swa
    mimo_v2_flash nemotron stablelm whisper xglm
"""
"""The same, but trees are shared under a mask: their attention is their own, has sinks, or drops the forest."""
PADDED = """
    bart bigbird_pegasus blenderbot blenderbot-small marian mbart mvp pegasus plbart rwkv trocr
"""
"""For padded rows alone: they ignore positions, as the decoders of translation models do."""
NO_ENGINE = """
    hrm_text
"""
"""For training alone: their cache is their own."""
NO_TREES = """
    mpt
"""
"""For training without shared beginnings: their bias counts columns."""
NO_TRAINING = """
    modernbert-decoder
"""
"""For the engine and TRL alone: their head is more than one product."""
ONLY_PADDED_ON_THE_LEFT = """
    bert bert-generation big_bird bloom cpmant electra ernie megatron-bert mllama moshi openai-gpt rembert
    roc_bert xlm xlnet
"""
"""Encoders and others that agree with nothing but their own padding."""
NOTHING = """
    axk2 bailing_hybrid bamba blt camembert cohere_compass_text data2vec-text dbrx deepseek_v32 deepseek_v4 doge
    dots1 dots3_note dots3_note_text falcon_h1 falcon_mamba gemma3n gemma4_assistant gemma4_unified_assistant
    glm_moe_dsa granitemoehybrid hy_v4 inkling2_text inkling_text jamba kimi_linear lfm2_moe lfm3 llama4
    llama4_text mamba mamba2 minimax musicgen musicgen_melody nemotron_h olmo_hybrid prophetnet qwen3_5
    qwen3_5_moe qwen3_5_moe_text qwen3_5_text qwen3_next qwen4_exp qwen4_exp_text recurrent_gemma reformer
    roberta roberta-prelayernorm roformer xlm-roberta xlm-roberta-xl xlstm xmod zamba zamba2 zaya
"""
"""Refused by name: states, indexed or chunked attention, encoders, models of other things than text."""

_SHAPE: dict[str, Any] = {
    "vocab_size": 60,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": 1,
}
_EXPERTS: dict[str, Any] = {"moe_intermediate_size": 32, "num_experts_per_tok": 2}
_LATENT: dict[str, Any] = {
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
}
CONFIGS: dict[str, Any] = {
    "deepseek_v2": lambda: t.DeepseekV2Config(
        **{**_SHAPE, **_EXPERTS, **_LATENT}, n_routed_experts=4, n_group=1, topk_group=1, first_k_dense_replace=1
    ),
    "hunyuan_v1_dense": lambda: t.HunYuanDenseV1Config(**_SHAPE, head_dim=16),
    "hunyuan_v1_moe": lambda: t.HunYuanMoEV1Config(**_SHAPE, head_dim=16, num_experts=4, moe_topk=2),
    "ministral": lambda: t.MinistralConfig(**_SHAPE, head_dim=16, sliding_window=8),
    "nemotron": lambda: t.NemotronConfig(**_SHAPE),
}
"""Configs for the families whose defaults leave out what a model needs."""
