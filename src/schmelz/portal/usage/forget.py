"""Forgetting a user of the job records: another name in the runs and in quarantined lines.

The name begins with a sign that no Unix name has. It is random, so nothing leads back; a later reading of the same runs
does not bring the old one back (`metering.store`).
"""

import re

from schmelz.metering import store
from schmelz.portal.usage.models import Quarantined, RecordFile
from schmelz.portal.usage.queries import manifest, records_directory


def forget_user(unix_name: str, name: str) -> list[str]:
    """Rename the user, inside the caller's transaction; the months whose records have a new file."""
    before = manifest()
    after = store.rename(records_directory(), before, unix_name, name)
    changed = [month for month in after if after[month] != before[month]]
    for month in changed:
        RecordFile.objects.filter(month=month).update(file=after[month])
    _clean_quarantine(unix_name, name)
    return changed


def _clean_quarantine(unix_name: str, name: str) -> None:
    word = re.compile(rf"(?<![\w.-]){re.escape(unix_name)}(?![\w.-])")
    for row in Quarantined.objects.filter(text__contains=unix_name):
        row.text, row.reason = word.sub(name, row.text), word.sub(name, row.reason)[:300]
        row.save(update_fields=["text", "reason"])
