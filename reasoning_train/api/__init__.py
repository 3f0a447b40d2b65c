"""The interface of stages: their definition and context, references between them, and the plan."""
