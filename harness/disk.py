"""What must outlive a crash of the machine."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Put the folder's entries on the disk: new names, and names that went."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
