"""What only a CUDA device can show; `make test-gpu`."""
