"""What stage `model` says of a model's text before anything is made with it: template, ends and vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_gen.checkpoints import load_format
from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec
from data_gen.templates.published import published_template
from data_gen.templates.rendering import DATE


def as_published(weights: Path, fmt: Format) -> Format:
    """The Format for `template: auto`: a folder that this program published is asked as it was trained. Fields that
    the recipe sets come first."""
    if fmt.model.template != "auto" or not (weights / "format.json").is_file():
        return fmt
    defaults = ModelFormat()
    said = {
        name: value
        for name in ModelFormat.model_fields
        if name != "template" and (value := getattr(fmt.model, name)) not in (getattr(defaults, name), DATE)
    }
    return fmt.model_copy(update={"model": load_format(weights).model.model_copy(update=said)})


def check_text(codec: StepCodec, config: Any = None) -> None:
    """Refuse a Format with fields that its template does not read, and ids that the model has no row for.

    `config`: the model's, if it is here.

    Raises:
        UserError: It names the field or the token.
    """
    _check_fields(codec.format.model)
    if config is not None:
        _check_vocabulary(codec, int(config.get_text_config().vocab_size))
    if codec.format.model.template != "server" and published_template(codec) is None:
        print(
            "model: no chat template gives this policy's prompts to other programs, so those that are trained from it "
            "carry none: its worked examples or system text spell control tokens.",
            flush=True,
        )


def _check_fields(shape: ModelFormat) -> None:
    if shape.template == "chat" and shape.plain_suffix != ModelFormat().plain_suffix:
        raise UserError(
            f"model.format.plain_suffix is {shape.plain_suffix!r}, and the model is asked by its chat template, which "
            "writes what stands before an answer. Leave it out, or say `template: plain`."
        )
    if shape.template == "plain" and shape.system:
        raise UserError(
            f"model.format.system is {shape.system[:80]!r}, and a plain prompt has no system text (the recipe says "
            "`plain`, or the tokenizer brings no chat template). Put it into `task.format.prompt`, before {question}."
        )


def _check_vocabulary(codec: StepCodec, rows: int) -> None:
    """Every id that a text, a prompt or an end may hold has a row. Added tokens that nothing writes (a pad token that
    someone added later) may lie beyond."""
    tokenizer = codec.tokenizer
    words = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=False)
    text, beyond = max(words.values(), default=-1), {i for i in codec.end_ids if i >= rows}
    if beyond:
        raise UserError(
            f"The end tokens {sorted(beyond)} lie beyond the model's vocabulary of {rows}, so nothing could end. Set "
            "`eos_token_id` in generation_config.json or config.json, or take the tokenizer that belongs to the model."
        )
    added = {i: token for i, token in tokenizer.added_tokens_decoder.items() if not token.special}
    worst = max(text, *codec.prompt_ids("7"), *added)
    if worst >= rows:
        raise UserError(
            f"The model's vocabulary of {rows} is smaller than its tokenizer's: "
            f"{tokenizer.convert_ids_to_tokens(worst)!r} is token {worst}. Take the tokenizer that belongs to the "
            "model, or resize the model's embeddings (`resize_token_embeddings`)."
        )
