"""The machine follows: what should stand on the cluster, what stands there, the difference, the plan that closes it."""
