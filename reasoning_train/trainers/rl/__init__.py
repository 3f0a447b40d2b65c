"""Reinforcement learning: rollouts, rewards, and TRL behind one adapter."""
