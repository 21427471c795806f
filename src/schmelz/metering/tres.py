"""GPUs in a TRES text: the untyped gres/gpu if present, else the sum of the typed (they name the same GPUs twice)."""


def gpus_of(tres: str) -> int | None:
    """GPUs of a TRES text such as `cpu=72,gres/gpu:h200=4,gres/gpu=4`; None when a count is no number, or far too large a one."""
    untyped, typed = None, 0
    for part in tres.split(","):
        name, _, count = part.partition("=")
        if name == "gres/gpu" or name.startswith("gres/gpu:"):
            if not count.isascii() or not count.isdigit() or len(count) > 9:
                return None
            untyped, typed = (int(count), typed) if name == "gres/gpu" else (untyped, typed + int(count))
    return typed if untyped is None else untyped
