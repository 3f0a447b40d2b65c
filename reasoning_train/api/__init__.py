"""What a stage is, what it may ask for, and what refers to what."""
