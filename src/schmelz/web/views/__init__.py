"""One file per subject. A view reads the address, asks a query or calls an action, and renders; it decides nothing."""
