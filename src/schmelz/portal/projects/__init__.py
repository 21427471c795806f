"""Projects: an award's GPU-hours on one system, its members, and what the cluster should have of it."""
