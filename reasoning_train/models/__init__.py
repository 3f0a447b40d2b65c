"""Creates, loads and saves policies: the step between a `model` artifact and a live module."""
