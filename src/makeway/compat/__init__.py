"""The calls of other trackers, answered by makeway: `import makeway.compat.wandb as wandb`."""
