import os
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, Optional, Union, final

_Path = Union[str, os.PathLike[str]]

__version__: str

class Error(Exception):
    """Any failure; the message names the file or model and the remedy."""

class ModelMissing(Error):
    """A model is needed and not here: `Library.pull` gets it."""

class NothingIndexed(Error):
    """Nothing was added yet."""

class NotIndexed(Error):
    """The document is not in the index."""

@final
class Library:
    """An index, and the models that read it. May be used by several threads."""

    def __init__(
        self,
        home: _Path,
        *,
        models: Optional[_Path] = None,
        collection: Optional[str] = None,
        threads: Optional[int] = None,
        ignore: Sequence[str] = (),
    ) -> None:
        """A library whose index, models and caches lie below `home`; the models in `models`, if that is given.

        Creates nothing on disk."""

    def add(self, *paths: _Path, on_progress: Optional[Callable[[int, int], None]] = None) -> Summary:
        """Remembers files and folders, and indexes them. `on_progress` hears bytes done and bytes in all."""

    def update(self, *, on_progress: Optional[Callable[[int, int], None]] = None) -> Summary:
        """Looks again at everything that was added."""

    def remove(self, *paths: _Path) -> int:
        """Forgets what was added; the files stay. Gives the number of documents that left the index."""

    def search(
        self,
        query: str,
        *,
        limit: int = 10,
        mode: Literal["hybrid", "lexical", "vector"] = "hybrid",
        path: Optional[str] = None,
        types: Sequence[str] = (),
    ) -> list[Hit]:
        """The passages that match best. `path` is a glob, `types` are formats or endings."""

    def ask(
        self,
        question: str,
        *,
        model: Optional[str] = None,
        budget: Optional[int] = None,
        path: Optional[str] = None,
        types: Sequence[str] = (),
        temperature: Optional[float] = None,
        seed: int = 0,
        max_tokens: Optional[int] = None,
    ) -> Asking:
        """Begins to answer from the documents."""

    def read(self, path: _Path) -> str:
        """A document's text, as docent reads it."""

    def documents(self) -> list[str]:
        """Paths of the documents that were added."""

    def models(self) -> list[str]:
        """Names of the models that are here."""

    def pull(self, *names: str) -> None:
        """Downloads models of the catalogue that are not here. The only method that goes to the network."""

@final
class Asking(Iterator[Event]):
    """An answer in the making."""

    def __iter__(self) -> Asking: ...
    def __next__(self) -> Event: ...
    def answer(self) -> Answer:
        """Waits for the whole answer."""

    def cancel(self) -> None:
        """Stops the model within a token."""

@final
class Event:
    """Something that happens while a question is being answered."""

    kind: Literal["packed", "reading", "thinking", "answer", "note", "done"]
    text: str
    """A piece of the answer (`answer`), of the reasoning (`thinking`), or a remark (`note`)."""
    done: int
    """Tokens of the prompt that were read (`reading`)."""
    total: int
    """Tokens of the whole prompt (`packed`, `reading`)."""
    answer: Optional[Answer]
    """The whole of it, checked (`done`)."""

@final
class Answer:
    status: Literal["answered", "partly", "not_found"]
    text: str
    citations: list[Citation]
    unsupported: list[str]
    """Sentences of the answer that nothing in the documents supports."""
    model: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float

@final
class Citation:
    n: int
    path: str
    line_start: int
    line_end: int
    page: Optional[int]
    heading_path: list[str]
    quote: str
    check: Literal["verified", "repaired", "source_changed", "source_gone"]

@final
class Hit:
    path: str
    line_start: int
    line_end: int
    page: Optional[int]
    title: Optional[str]
    heading_path: list[str]
    score: float
    text: str
    changed: bool
    """Whether the file has changed since it was indexed."""

@final
class Summary:
    added: int
    changed: int
    renamed: int
    removed: int
    unchanged: int
    skipped: int
    failed: int
