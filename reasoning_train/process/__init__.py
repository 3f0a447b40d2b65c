"""The process itself: ranks, signals, plug-ins and memory."""
