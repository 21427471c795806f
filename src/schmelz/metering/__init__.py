"""Metering: from job records to runs, pieces, usage and the split. No Django, no database, no clock."""
