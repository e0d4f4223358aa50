"""Checks roofs."""

import sys


def leaks(roof):
    """Whether it does."""
    return any(tile.loose for tile in roof)


class Tile:
    def __init__(self, loose):
        self.loose = loose

    def fix(self):
        self.loose = False


if __name__ == "__main__":
    sys.exit(leaks([Tile(True)]))
