"""The command line: one of three faces; it asks, shows and exits, and decides nothing."""

import gc
import os

gc.set_threshold(200_000)  # what is loaded now stays; looking for rubbish in it is a quarter of a small command's time
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # nothing else that is installed has a say in a policy
