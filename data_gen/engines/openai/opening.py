"""Opens the openai engine that a config describes: starts the server if requested, finds the model's name, and closes
both together."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_gen.engines.config import OpenAIConfig, ServeConfig
from data_gen.engines.openai.api_key import ApiKey
from data_gen.engines.openai.engine import Dialogue, OpenAIEngine
from data_gen.engines.openai.http_answers import Malformed
from data_gen.engines.openai.http_transport import Transport
from data_gen.engines.openai.kinds import KINDS
from data_gen.engines.openai.server import ModelServer
from data_gen.engines.openai.server_commands import serve_command, serve_environment
from data_gen.errors import UserError
from data_gen.marks import Mark
from data_gen.models.elsewhere import is_adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """The model behind the server: `Speaker(tokenizer=tokenizer, end_ids={2}, context=4096, weights=Path("model"))`."""

    tokenizer: Any
    end_ids: Collection[int]
    end_id: int | None = None
    """What is written behind a solution that comes as text. Default: the tokenizer's eos."""
    think: Mark | None = None
    """The Format's mark of thoughts."""
    context: int | None = None
    weights: Path | None = None
    """Its `from_pretrained` folder, if it is on this machine."""
    served: str | None = None
    """The name under which it is served, if it has one."""
    chat: bool = False
    """The server applies its own chat template to prompts."""
    system: str = ""


@contextmanager
def open_openai(config: OpenAIConfig, speaker: Speaker, *, log: Path, threads: int = 1) -> Iterator[OpenAIEngine]:
    """The engine. A server of our own logs to `log`, runs with `threads` intra-op threads and ends with the `with`
    block."""
    kind = KINDS[config.kind]
    with ExitStack() as stack:
        server = stack.enter_context(_server(config.serve, speaker, log, threads)) if config.serve else None
        transport = Transport(
            config.base_url or "",
            width=config.width,
            timeout=config.timeout,
            attempts=config.attempts,
            key=ApiKey(config.api_key_env),
            server=server,
        )
        own = str(speaker.weights) if server else None
        dialogue = Dialogue(
            model=config.model or own or speaker.served or asyncio.run(only_model(transport)),
            kind=kind,
            ids=(config.prompt or kind.prompt) == "ids",
            seeds=kind.seeded != "never" if config.seeds is None else config.seeds,
            max_n=config.max_n,
            limit_field=config.limit_field,
            chat=speaker.chat,
            system=speaker.system,
        )
        yield OpenAIEngine(
            transport,
            dialogue,
            speaker.tokenizer,
            end_ids=speaker.end_ids,
            end_id=speaker.end_id,
            think=speaker.think,
            context=speaker.context,
        )


async def only_model(transport: Transport) -> str:
    """The name of the only model that the server lists. UserError if it lists none or several."""

    def read(answer: Any) -> list[str]:
        try:
            return [str(model["id"]) for model in answer["data"]]
        except (KeyError, TypeError) as error:
            raise Malformed(f"no list of models ({error})") from None

    try:
        names = await transport.request("GET", "/models", None, read)
    finally:
        await transport.aclose()
    if len(names) != 1:
        raise UserError(
            f"engine.model is missing, and {transport.url} lists {len(names)} models ({', '.join(names[:10])}); say "
            "which is the policy."
        )
    return names[0]


def _server(config: ServeConfig, speaker: Speaker, log: Path, threads: int) -> ModelServer:
    if speaker.weights is None:
        raise UserError(
            f"engine.serve: the policy {speaker.served!r} has no weights here that a server could load; give the "
            "base_url of its server."
        )
    if is_adapter(speaker.weights):
        raise UserError(
            f"engine.serve: {speaker.weights} holds adapters only; train with `adapter: merge`, or use another engine."
        )
    import torch

    command = serve_command(config, speaker.weights, context=speaker.context or 0, gpu=torch.cuda.is_available())
    return ModelServer(command, log=log, start_timeout=config.start_timeout, env=serve_environment(threads))
