"""A `docent serve` of one's own for a test: a home with the small models, some documents, a free port."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ["all-minilm-l6-v2", "smollm2-135m-instruct"]


def command(given=None):
    """The docent to test: the one that is named, DOCENT, or the one that was built here."""
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    found = pathlib.Path(given or os.environ.get("DOCENT") or f"{target}/release/docent")
    if not found.exists():
        sys.exit(f"{found} is not there: cargo build --release, or name the command")
    return str(found.resolve())


class Serving:
    """`with Serving(docent, {"name.md": "text"}) as serving:` has `serving.url`, `serving.home`, `serving.docs`.

    `documents` may also be a list of folders, which are copied. What `DOCENT_MODELS` names (a folder with models) is used; otherwise they are pulled.
    """

    def __init__(self, docent, documents, arguments=(), add=True):
        self.docent = command(docent)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="docent-serve-")).resolve()
        self.home, self.docs = self.folder / "home", self.folder / "docs"
        self.arguments, self.add = arguments, add
        if isinstance(documents, dict):
            self.docs.mkdir()
            for name, text in documents.items():
                (self.docs / name).write_text(text)
        else:
            for folder in documents:
                shutil.copytree(folder, self.docs / folder.name)

    def run(self, *arguments):
        return subprocess.run([self.docent, "--home", self.home, *arguments], check=True, capture_output=True, text=True)

    def __enter__(self):
        (self.home / "cache").mkdir(parents=True)
        if models := os.environ.get("DOCENT_MODELS"):
            (self.home / "cache" / "models").symlink_to(models)
        else:
            self.run("models", "pull", *MODELS)
        if self.add:
            self.run("add", self.docs)
        start = [self.docent, "--home", self.home, "serve", "--listen", "127.0.0.1:0", "--log", "off", "--root", self.docs]
        self.log = open(self.folder / "log", "w+")
        self.process = subprocess.Popen([*start, *self.arguments], stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http"):
            self.log.seek(0)
            sys.exit(f"the server did not start: {self.log.read()}")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.ended = self.process.wait(60)
        self.log.close()
        shutil.rmtree(self.folder)

    def metric(self, name):
        text = urllib.request.urlopen(f"{self.url}/metrics").read().decode()
        return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])

    def memory(self):
        """Resident bytes of the server."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024
