"""What people decided about the cluster itself: approvals of plans, mandates of steering, choices about drift."""
