"""The two halves of a Format: what a model is asked, and how what it says is cut."""

from __future__ import annotations

import copy
from typing import Any

from data_gen.format import Example, Format, ModelFormat, StepCodec, TaskFormat
from data_gen.marks import Mark, Marks
from tests.data_gen.test_format import CHAT, bpe
from tests.data_gen.typed import typed
from tests.known_answers.cases import Settings, case

SAID = "\nIs the Answer: 3?\n12 + 5 = 17\n\n17 - 3 = 14\nSo: \\boxed{14}\nAnswer: 14.\n"


@case("part", "TaskFormat")
def task_format() -> Any:
    """Prompts with and without examples, segments by two delimiters and by marks, answers by every extractor."""
    formats = [
        TaskFormat(),
        TaskFormat(prompt="Q: {question}", examples=(Example(question="1?", solution="1"),), extract=("boxed",)),
        TaskFormat(step_delimiter="\n\n", answer_mark="So: ", extract=("last_number",), ends=("Q:",)),
        TaskFormat(marks=Marks(think=Mark(open="1", close="5 ="), observation=Mark(prefix="So"))),
    ]
    codecs = [StepCodec(Format(task=fmt), bpe()) for fmt in formats]
    ids = bpe()(SAID, add_special_tokens=False)["input_ids"]
    return Settings(
        [
            codec.prompt_text("How many?"),
            [[segment.kind, segment.text, segment.weight] for segment in codec.split([*ids, codec.end_id])],
            codec.format.extract_answer(SAID),
        ]
        for codec in codecs
    )


@case("part", "ModelFormat")
def model_format() -> Any:
    """Plain and chat prompts, as text and as ids."""
    tokenizer = copy.deepcopy(bpe(bos=True))
    tokenizer.chat_template = CHAT
    formats = [ModelFormat(), ModelFormat(plain_suffix=" ->\n"), ModelFormat(template="chat", system="Be brief.")]
    codecs = [StepCodec(Format(model=fmt), tokenizer) for fmt in formats]
    asked = [[codec.prompt_text("2 + 2?"), len(codec.prompt_ids("2 + 2?"))] for codec in codecs]
    said = codecs[0].encode(typed(("step", "1 + 1 = 2\n"), ("answer", "Answer: 2")), end=True)
    return {
        "asked": Settings(asked),
        "said": [[segment.kind, segment.text, len(segment.token_ids)] for segment in said],
    }
