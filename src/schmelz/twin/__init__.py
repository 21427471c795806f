"""The machine, simulated: what runs where and when under the policy's own rule. Never a scheduler in production."""
