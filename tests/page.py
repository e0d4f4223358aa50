#!/usr/bin/env python3
"""Uses the page of `docent serve` as a person would, in headless Chromium.

    pip install playwright                         its driver alone; the browser is the system's
    tests/page.py [--chromium FILE] [--axe FILE] [--shots DIR] [--docent COMMAND]

    --axe FILE    axe.min.js of axe-core (https://www.npmjs.com/package/axe-core): no serious fault may be found
    --shots DIR   screenshots go there

Adds a folder and watches it come in, asks, opens a citation and sees the quote marked, searches with a filter, reloads, goes dark, and does it with
the keyboard. Fails on any message in the browser's console.
"""

import argparse
import pathlib
import shutil
import sys

from playwright.sync_api import expect, sync_playwright

from serving import ROOT, Serving

QUESTION = "How many days a year may I work from another country?"


class Visit:
    def __init__(self, page, serving, arguments):
        self.page, self.serving, self.arguments = page, serving, arguments
        self.faults = []
        page.on("console", lambda message: self.faults.append(f"console: {message.text}") if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.faults.append(f"page: {error}"))
        page.on("request", lambda request: self.faults.append(f"foreign: {request.url}") if not request.url.startswith((serving.url, "data:")) else None)

    def shot(self, name):
        if self.arguments.shots:
            self.page.screenshot(path=pathlib.Path(self.arguments.shots) / f"page-{name}.png")

    def axe(self, view):
        """What axe finds that is serious. The page's policy lets no script in, so it comes in through the debugger."""
        if not self.arguments.axe:
            return
        self.page.evaluate(pathlib.Path(self.arguments.axe).read_text())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        for violation in found["violations"]:
            if violation["impact"] in ("serious", "critical"):
                self.faults.append(f"axe, {view}: {violation['id']}: {[node['html'][:120] for node in violation['nodes'][:3]]}")


def library(visit):
    page, docs = visit.page, visit.serving.docs
    page.goto(f"{visit.serving.url}/#library")
    expect(page.get_by_label("Add a file or folder of this machine")).to_be_focused()
    page.keyboard.type(str(docs))
    page.keyboard.press("Enter")
    expect(page.locator("#jobs")).to_contain_text("added", timeout=400_000)
    visit.shot("library")
    expect(page.locator("#roots")).to_contain_text(str(docs))
    expect(page.locator("#documents tr")).not_to_have_count(0)
    page.locator("#document-filter").fill("handbook")
    expect(page.locator("#documents tr")).to_have_count(1)
    page.locator("#document-filter").fill("")
    visit.axe("library")
    page.get_by_label("Add a file or folder of this machine").fill("/etc")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("outside")
    visit.faults = [fault for fault in visit.faults if "403" not in fault]  # the browser tells of every refusal
    upload = visit.serving.folder / "coffee.md"
    upload.write_text("# Coffee\n\nCoffee for the press is ground coarsely.\n")
    page.locator("#upload").set_input_files(upload)
    expect(page.locator("#jobs")).to_contain_text("1 added", timeout=120_000)


def ask(visit):
    page = visit.page
    page.get_by_role("link", name="Ask").click()
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#sources li")).not_to_have_count(0, timeout=120_000)
    expect(page.locator("#usage")).to_contain_text("tokens read")
    visit.shot("ask")
    visit.axe("ask")
    page.locator("#answer-text .cite").first.click()
    marked = page.locator("#passage-text mark")
    expect(marked).to_be_visible()
    quote = page.locator("#sources .text").first.inner_text()
    assert marked.inner_text().split() == quote.split(), (marked.inner_text(), quote)
    visit.shot("passage")
    visit.axe("passage")
    page.keyboard.press("Escape")
    expect(page.locator("#passage")).to_be_hidden()
    page.get_by_label("Your question").fill("Who painted the ceiling?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#ask-progress")).to_be_hidden()


def search(visit):
    page = visit.page
    page.get_by_role("link", name="Search").click()
    expect(page.get_by_label("Words or a question")).to_be_focused()
    page.keyboard.type("working from another country")
    page.keyboard.press("Enter")
    expect(page.locator("#hits li")).not_to_have_count(0)
    everything = page.locator("#hits .tag").all_inner_texts()
    visit.shot("search")
    visit.axe("search")
    page.locator("#search-type").fill("pdf")
    page.locator("#search-type").press("Enter")
    expect(page.locator("#hits .tag").first).to_have_text("pdf")
    assert set(page.locator("#hits .tag").all_inner_texts()) == {"pdf"} != set(everything)
    page.locator("#hits button").first.click()
    expect(page.locator("#passage-note")).to_contain_text("page ")
    page.locator("#passage-close").click()
    page.locator("#search-path").fill("[")
    page.locator("#search-path").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("pattern")
    visit.faults = [fault for fault in visit.faults if "400" not in fault]
    page.locator("#search-path").fill("")


def frame(visit):
    page = visit.page
    page.get_by_role("link", name="Library").click()
    page.reload()
    expect(page.locator("#documents tr")).not_to_have_count(0)
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.locator("#theme").click()
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: dark")
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert light != dark, light
    visit.shot("dark")
    visit.axe("library, dark")
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == dark, "the theme is remembered"
    page.get_by_role("link", name="Ask").click()
    page.locator("#theme").focus()
    page.keyboard.press("/")
    expect(page.get_by_label("Your question")).to_be_focused()
    visit.axe("ask, dark")
    page.set_viewport_size({"width": 360, "height": 740})
    for view in ("Ask", "Search", "Library"):
        page.get_by_role("link", name=view).click()
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, f"{view} is wider than a telephone"
    visit.shot("narrow")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser"))
    parser.add_argument("--axe")
    parser.add_argument("--shots")
    parser.add_argument("--docent")
    arguments = parser.parse_args()
    with Serving(arguments.docent, [ROOT / "corpora" / "tour" / name for name in ("work", "home")], add=False) as serving, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 800})
        page.set_default_timeout(20_000)
        visit = Visit(page, serving, arguments)
        for part in (library, ask, search, frame):
            try:
                part(visit)
                print(f"ok      {part.__name__}")
            except Exception as error:  # noqa: BLE001: the other parts still run
                visit.faults.append(f"{part.__name__}: {type(error).__name__}: {str(error)[:1500]}")
                visit.shot(f"failed-{part.__name__}")
        browser.close()
    for fault in visit.faults:
        print("FAULT  ", fault)
    print("failed" if visit.faults else "ok")
    return 1 if visit.faults else 0


if __name__ == "__main__":
    sys.exit(main())
