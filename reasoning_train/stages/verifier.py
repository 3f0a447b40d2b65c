"""`verifier`: a verifier that was trained elsewhere, from a folder or the Hub, for the stages that score with one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from data_gen.errors import UserError
from data_gen.format import Format, ModelFormat, StepCodec, TaskFormat
from data_gen.sources.hub import HubId
from data_gen.verifiers.foreign import QWEN_PRM, QWEN_PRM_HEAD, QWEN_PRM_TEXT, ForeignHead
from reasoning_train.api.stage import Context, Made, StageConfig, stage
from reasoning_train.stages.elsewhere import base_of, refer
from reasoning_train.stages.fits import unloadable


class VerifierConfig(StageConfig):
    """Where the verifier is, and what its scores mean. The weights are used in place; code beside them is never run.

    `{uses: verifier, path: prm, kind: classifier, head: {positive: correct, read_at: step_end}}`,
    `{uses: verifier, hub: Qwen/Qwen2.5-Math-PRM-7B, revision: ..., kind: qwen_prm}`.
    """

    path: Path | None = None
    """A local `from_pretrained` folder."""
    hub: HubId | None = None
    """A Hub id, with `revision`. It is looked up only in the local cache; `reasoning-train fetch` downloads it."""
    revision: str | None = None
    base: str | None = None
    """The model under an adapter of the Hub that names no commit of its base, as `NAME@COMMIT`. Filled in from the
    local cache, so that it is part of the key; if the recipe says it, another one is refused."""
    kind: Literal["head", "classifier", "qwen_prm"] = "head"
    """`head`: a verifier or joint model of this program; `classifier`: a decoder model of transformers with a token- or
    sequence-classification head, or with TRL's value head; `qwen_prm`: Qwen2.5-Math-PRM and models of its class."""
    head: ForeignHead | None = None
    """Only for `classifier`: which label means right, where it is read, and its scale."""
    format: ModelFormat | None = None
    """How text is formatted for it. Default: the checkpoint's own Format (`head`), the format it was trained with
    (`qwen_prm`), or plain text (`classifier`)."""
    task_format: TaskFormat = TaskFormat()
    """Filled in from `task.format`."""

    @model_validator(mode="after")
    def _complete(self) -> VerifierConfig:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give exactly one of path and hub")
        if (self.kind == "classifier") != (self.head is not None):
            raise ValueError(
                "`head` says what the scores of a `classifier` mean: give it for this kind, and for no other kind"
            )
        if self.format and self.format.template == "server":
            raise ValueError(
                "`template: server` is for policies that run elsewhere; a verifier runs here, so use plain or chat"
            )
        return self


@stage("verifier", version=1, outputs={"verifier": "verifier"}, seeded=False)
def verifier(config: VerifierConfig, ctx: Context) -> None:
    """Write the head, the Format, and a pointer to the backbone."""
    from data_gen.checkpoints import load_tokenizer, save_format
    from data_gen.models.tokenizer_check import loaded
    from data_gen.verifiers.head_files import save_head

    out = ctx.output("verifier")
    weights = refer(config, "verifier", ctx, out)
    tokenizer = loaded(load_tokenizer, weights, "verifier")
    head, fmt = _own(weights, config) if config.kind == "head" else _foreign(weights, config, tokenizer)
    StepCodec(fmt, tokenizer)  # fail here on a template that cannot ask, before later stages start
    save_format(fmt, out)
    save_head(head, out)
    ctx.metric("head", head.config.model_dump(mode="json"))


@verifier.check
def fits(config: VerifierConfig, made: Made) -> Iterator[tuple[str, str]]:
    """The folder has a config and whole weights."""
    yield from unloadable("path", config.path)


@verifier.complete
def with_base(config: VerifierConfig, made: Made) -> VerifierConfig:
    """An adapter's base is part of the key."""
    return config.model_copy(update={"base": config.base or base_of(config)})


def _own(weights: Path, config: VerifierConfig):  # type: ignore[no-untyped-def]  # heads need torch
    from data_gen.checkpoints import load_format
    from data_gen.verifiers.head_files import load_head

    head, task = load_head(weights), Format(task=config.task_format)
    if not (weights / "format.json").is_file():
        raise UserError(
            f"verifier.path: {weights} has a head, but no format.json that says how it reads. Re-make the checkpoint."
        )
    fmt = load_format(weights)
    fmt.check_same_task(task, f"the verifier in {weights}", "the recipe's task")
    return head, fmt.model_copy(update={"model": config.format}) if config.format else fmt


def _foreign(weights: Path, config: VerifierConfig, tokenizer: Any):  # type: ignore[no-untyped-def]
    from data_gen.verifiers.foreign import architecture, load_foreign_head

    qwen = config.kind == "qwen_prm"
    if qwen and (found := architecture(weights)) != QWEN_PRM:
        raise UserError(
            f"verifier.kind is 'qwen_prm', but {weights} is a {found or 'model of unknown class'}; expected {QWEN_PRM}."
        )
    shape = config.format or (QWEN_PRM_TEXT if qwen else ModelFormat())
    if shape.step_token and len(tokenizer(shape.step_token, add_special_tokens=False)["input_ids"]) != 1:
        raise UserError(
            f"verifier.format.step_token is {shape.step_token!r}, which is not a single token of the tokenizer "
            f"in {weights}."
        )
    head = load_foreign_head(weights, config.head or QWEN_PRM_HEAD)
    return head, Format(task=config.task_format, model=shape)
