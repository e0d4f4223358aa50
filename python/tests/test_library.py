"""The package as a program uses it. The models are those of the other tests (DOCENT_TEST_MODELS), pulled if they are not there."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import docent_qa
from docent_qa import Error, Library, ModelMissing, NothingIndexed, NotIndexed

MODELS = os.environ.get("DOCENT_TEST_MODELS") or os.path.join(tempfile.gettempdir(), "docent-test-models")
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
HOUSE = """The roof was tiled anew in 1998 by the Bakker brothers.

The boiler in the cellar is reset by holding the red button for ten seconds.
"""
LEASE = "The rent is 840 euros a month.\nNotice must be given three months ahead, in writing.\n"


class LibraryTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        library = Library("unused", models=MODELS)
        for name in ["all-minilm-l6-v2", "smollm2-135m-instruct"]:
            if name not in library.models():
                library.pull(name)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name).resolve()
        self.docs = self.folder / "docs"
        self.docs.mkdir()
        (self.docs / "house.md").write_text(HOUSE)
        (self.docs / "lease.txt").write_text(LEASE)
        self.library = Library(self.folder / "home", models=MODELS, threads=2, ignore=["*.log"])

    def test_a_folder_is_added_searched_and_read(self):
        (self.docs / "noise.log").write_text("nothing for an index\n")
        heard = []
        summary = self.library.add(self.docs, on_progress=lambda done, total: heard.append((done, total)))
        self.assertEqual((summary.added, summary.failed), (2, 0))
        self.assertTrue(all(done <= total for done, total in heard))
        hit = self.library.search("when must I give notice", limit=1)[0]
        self.assertEqual((hit.path, hit.line_start, hit.changed), (str(self.docs / "lease.txt"), 1, False))
        self.assertEqual(self.library.search("roof", types=["txt"], mode="lexical"), [])
        self.assertEqual(self.library.read(hit.path), LEASE)
        self.assertEqual(len(self.library.documents()), 2)
        (self.docs / "house.md").unlink()
        self.assertEqual(self.library.update().removed, 1)
        self.assertEqual(self.library.remove(self.docs), 1)

    def test_an_answer_comes_piece_by_piece_and_is_cited(self):
        self.library.add(self.docs)
        events = list(self.library.ask("How is the boiler reset?", temperature=0))
        answer = events[-1].answer
        self.assertEqual(events[-1].kind, "done")
        self.assertEqual("".join(event.text for event in events if event.kind == "answer").strip(), answer.text.strip())
        self.assertEqual((answer.status, answer.citations[0].check), ("answered", "verified"))
        self.assertIn(answer.citations[0].quote, HOUSE)
        self.assertEqual(self.library.ask("How is the boiler reset?", temperature=0).answer().text, answer.text)

    def test_failures_are_exceptions_with_the_remedy(self):
        with self.assertRaisesRegex(NothingIndexed, "Library.add"):
            self.library.search("roof")
        with self.assertRaisesRegex(Error, "no such file"):
            self.library.add(self.folder / "nowhere")
        with self.assertRaisesRegex(ModelMissing, "Library.pull"):
            Library(self.folder / "other").add(self.docs)
        self.library.add(self.docs)
        with self.assertRaises(NotIndexed):
            self.library.read("/etc/passwd")
        with self.assertRaisesRegex(Error, "gpt-17"):
            self.library.pull("gpt-17")
        with self.assertRaises(Error):
            self.library.ask("What?", model="no/such.gguf").answer()
        for wrong in [
            lambda: self.library.ask("  "),
            lambda: self.library.search("x", mode="both"),
            lambda: self.library.add(),
            lambda: Library("x", collection="a/b"),
            lambda: Library("x", ignore=["{a"]),
        ]:
            self.assertRaises(ValueError, wrong)
        self.assertRaises(TypeError, lambda: self.library.search())

    def test_other_threads_run_while_it_works(self):
        self.library.add(self.docs)
        n_turns, stop = 0, threading.Event()

        def turn():
            nonlocal n_turns
            while not stop.is_set():
                n_turns += 1
                time.sleep(0)

        thread = threading.Thread(target=turn)
        thread.start()
        self.library.ask("How is the boiler reset?").answer()
        stop.set()
        thread.join()
        self.assertGreater(n_turns, 100)

    def test_ctrl_c_stops_an_ingestion_and_loses_nothing(self):
        for i in range(1500):
            (self.docs / f"{i}.txt").write_text(f"Note {i} says that shelf {i % 13} holds jar {i * 7}.\n" * 10)
        timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            self.library.add(self.docs)
        self.assertLess(len(self.library.documents()), 1502)
        self.assertEqual(self.library.update().failed, 0)
        self.assertEqual(len(self.library.documents()), 1502)

    def test_an_answer_can_be_stopped(self):
        self.library.add(self.docs)
        asking = self.library.ask("How is the boiler reset?")
        asking.cancel()
        self.assertIsNotNone(asking.answer())
        del asking
        self.assertEqual(self.library.ask("How is the boiler reset?", temperature=0).answer().status, "answered")

    def test_what_the_readmes_show_works(self):
        # The part of it that holds the answer: all of it takes a minute.
        (self.folder / "corpora").mkdir()
        (self.folder / "corpora" / "tour").symlink_to(REPOSITORY / "corpora" / "tour" / "work")
        (self.folder / "my-library" / "cache").mkdir(parents=True)
        (self.folder / "my-library" / "cache" / "models").symlink_to(MODELS)
        for readme in [REPOSITORY / "README.md", REPOSITORY / "python" / "README.md"]:
            for program in re.findall("^```python\n(.*?)^```", readme.read_text(), re.MULTILINE | re.DOTALL):
                ran = subprocess.run([sys.executable, "-c", program], cwd=self.folder, capture_output=True, text=True)
                self.assertEqual((ran.returncode, ran.stderr), (0, ""), readme)
                self.assertIn("20 working days a year", ran.stdout, readme)

    def test_everything_is_described(self):
        stubs = pathlib.Path(docent_qa.__file__).with_name("__init__.pyi").read_text()
        for name in docent_qa.__all__:
            self.assertRegex(stubs, rf"(class {name}\b|{name}:)")
        for name in dir(Library):
            if not name.startswith("_"):
                self.assertIn(f"def {name}(", stubs)


if __name__ == "__main__":
    unittest.main()
