"""Makes training data for reasoning models: tasks, engines, prompt programs, search. It never imports
`reasoning_train`."""
