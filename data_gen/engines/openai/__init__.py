"""Servers that speak the OpenAI interface: ones that run already, and ones that a stage starts."""
