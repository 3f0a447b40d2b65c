"""Arrow schemas of the row kinds: explicit, so that empty lists, None and label types survive every shard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


def problems_schema() -> pyarrow.Schema:
    """Columns of records.Problem."""
    import pyarrow as pa

    text, texts = pa.string(), pa.list_(pa.string())
    columns = {
        "id": text,
        "question": text,
        "gold": text,
        "group": text,
        "split": text,
        "gold_steps": texts,
        "choices": texts,
    }
    return pa.schema({**columns, "difficulty": pa.float64(), "payload": text})


def solutions_schema() -> pyarrow.Schema:
    """Columns of records.Solution: the Hub's prompt/completion first."""
    import pyarrow as pa

    text, ids = pa.string(), pa.list_(pa.int32())
    segment = pa.struct({"kind": text, "text": text, "token_ids": ids, "weight": pa.float32()})
    return pa.schema(
        {
            "prompt": text,
            "completion": text,
            "problem_id": text,
            "sample": pa.int32(),
            "segments": pa.list_(segment),
            "answer": text,
            "verdict": text,
            "finish": text,
            "reason": text,
            "steps_ok": pa.bool_(),
            "prompt_ids": ids,
            "logprobs": pa.list_(pa.float32()),
            "group": text,
            "difficulty": pa.float64(),
            "temperature": pa.float64(),
            "weight": pa.float32(),
        }
    )


def trees_schema() -> pyarrow.Schema:
    """Columns of trees.Tree: one row a node, what belongs to the tree on each."""
    import pyarrow as pa

    text, number, count = pa.string(), pa.float64(), pa.int32()
    tree = {
        "problem_id": text,
        "sample": count,
        "scale": text,
        "search": text,
        "scorer": text,
        "stopped": text,
        "oracle": pa.bool_(),
    }
    spent = {"generated_tokens": pa.int64(), "scored_tokens": pa.int64(), "group": text, "difficulty": number}
    node = {
        "node": count,
        "parent": count,
        "depth": count,
        "text": text,
        "token_ids": pa.list_(pa.int32()),
        "logprob": number,
    }
    search = {"prior": number, "draws": count, "n": count, "w": number, "v0": number, "outcome": number}
    end = {
        "mc_correct": number,
        "mc_total": number,
        "terminal": text,
        "answer": text,
        "steps_ok": pa.bool_(),
        "source": text,
        "weight": number,
        "votes": count,
    }
    return pa.schema({**tree, **spent, **node, **search, **end})


def pairs_schema() -> pyarrow.Schema:
    """Columns of labels.StepPair: the Hub's preference type first."""
    import pyarrow as pa

    text, number, count, ids = pa.string(), pa.float64(), pa.int32(), pa.list_(pa.int32())
    sides = {"prompt": text, "chosen": text, "rejected": text, "problem_id": text, "tree": count, "rule": text}
    tokens = {"prompt_ids": ids, "prompt_length": count, "chosen_ids": ids, "rejected_ids": ids}
    nodes = {"prefix_nodes": ids, "chosen_nodes": ids, "rejected_nodes": ids}
    scores = {
        "score_chosen": number,
        "score_rejected": number,
        "scale": text,
        "label_smoothing": number,
        "weight": number,
    }
    reference = {"reference_chosen": number, "reference_rejected": number}
    rest = {"granularity": text, "end_mark": text, "group": text, "difficulty": number, "margin": number}
    return pa.schema({**sides, **tokens, **nodes, **scores, **reference, **rest})


def value_targets_schema() -> pyarrow.Schema:
    """Columns of labels.ValueTarget: trl's stepwise supervision first. Targets are single precision: there is one a
    token, at most."""
    import pyarrow as pa

    text, ids, numbers = pa.string(), pa.list_(pa.int32()), pa.list_(pa.float32())
    steps = {"prompt": text, "completions": pa.list_(text), "labels": pa.list_(pa.bool_())}
    where = {"problem_id": text, "tree": pa.int32(), "source": text, "scale": text}
    tokens = {"prompt_ids": ids, "token_ids": ids, "ends": ids, "nodes": ids, "at": ids}
    targets = {name: numbers for name in ("values", "n_eff", "weights", "correct", "total")}
    rest = {"multiplicity": text, "outcome": pa.float64(), "group": text, "difficulty": pa.float64()}
    return pa.schema({**steps, **where, **tokens, **targets, **rest})


SCHEMAS: dict[str, Callable[[], pyarrow.Schema]] = {
    "problems": problems_schema,
    "solutions": solutions_schema,
    "trees": trees_schema,
    "pairs": pairs_schema,
    "value_targets": value_targets_schema,
}
"""Kind -> schema; kinds that are absent take the schema of their first rows."""
