"""LM backends behind one async interface: `transformers`, `scripted`; each in its own file."""
