"""Reinforcement learning: rollouts, rewards, and an adapter for TRL."""
