"""Lines of Python for a card: how its output is opened, from the folder of the card."""

from __future__ import annotations

from pathlib import Path

ROWS = """\
from datasets import load_dataset

rows = load_dataset("parquet", data_files="{name}/part-*.parquet", split="train")
print(rows[0] if len(rows) else rows)
"""
MODEL = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}")
model = AutoModelForCausalLM.from_pretrained("{name}")
turns = [{{"role": "user", "content": "What is 3 + 4?"}}]
prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_tensors="pt", return_dict=True)
ids = model.generate(input_ids=prompt["input_ids"], attention_mask=prompt["attention_mask"], max_new_tokens=32)
print(tokenizer.decode(ids[0]))
"""
POLICY = """\
from pathlib import Path

from reasoning_train.models.policy import load_policy  # it finds the weights that the folder refers to

policy = load_policy(Path("{name}"))
ids = policy.tokenizer("What is 3 + 4?", return_tensors="pt")["input_ids"].to(policy.model.device)
print(policy.tokenizer.decode(policy.model.generate(input_ids=ids, max_new_tokens=32)[0]))
"""
VERIFIER = """\
from pathlib import Path

from data_gen.verifiers.checkpoint import load_verifier

verifier = load_verifier(Path("{name}"))
print(verifier.head.config)
"""
SERVED = """\
import json
from pathlib import Path

print(json.loads((Path("{name}") / "served.json").read_text()))  # the model runs on a server
"""
OTHER = """\
from pathlib import Path

for path in sorted(Path("{name}").rglob("*")):
    print(path)
"""


def snippet(folder: Path, kind: str, name: str) -> str:
    """How an output of this kind is opened. `name`: its folder, as seen from the card."""
    return _template(folder, kind).format(name=name)


def _template(folder: Path, kind: str) -> str:
    if kind == "rows":
        return ROWS
    if kind == "verifier":
        return VERIFIER
    if kind != "model":
        return OTHER
    if (folder / "served.json").is_file():
        return SERVED
    asked = (folder / "chat_template.jinja").is_file()
    return MODEL if asked and any(folder.glob("model*.safetensors")) else POLICY
