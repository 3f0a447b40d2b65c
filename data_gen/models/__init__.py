"""What the engine in this process and the trainers must know alike about a transformers model."""
