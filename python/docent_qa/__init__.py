"""Ask questions about folders of documents, on your own machine."""

from ._docent_qa import (
    Answer,
    Asking,
    Citation,
    Error,
    Event,
    Hit,
    Library,
    ModelMissing,
    NothingIndexed,
    NotIndexed,
    Summary,
    __version__,
)

__all__ = [
    "Answer",
    "Asking",
    "Citation",
    "Error",
    "Event",
    "Hit",
    "Library",
    "ModelMissing",
    "NotIndexed",
    "NothingIndexed",
    "Summary",
    "__version__",
]
