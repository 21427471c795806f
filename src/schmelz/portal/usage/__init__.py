"""What was read from the cluster: record files, quarantined lines, node outages."""
