"""State of the running process: ranks, signals, plug-ins and memory."""
