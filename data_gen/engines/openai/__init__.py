"""Servers with the OpenAI interface: running ones, and ones that a stage starts."""
