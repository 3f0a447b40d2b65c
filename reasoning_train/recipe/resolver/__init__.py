"""What references mean: their text, the scope that they stand in, stages, implicit nodes, and plain values."""
