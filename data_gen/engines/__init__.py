"""LM backends behind one async interface: `transformers`, `vllm`, `openai`, `scripted`; each in its own file."""
