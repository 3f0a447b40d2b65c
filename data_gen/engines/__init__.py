"""LM backends behind one async interface: `transformers`, `vllm`, `openai`, `scripted`. Each has its own file or
folder."""
