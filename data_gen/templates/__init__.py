"""Chat templates: rendered once under limits, read for what they do to a prompt, and written for published policies."""
