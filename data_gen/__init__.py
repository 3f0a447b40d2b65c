"""Makes training data for reasoning models: tasks, engines, prompt programs, search. Knows nothing of
`reasoning_train`."""
