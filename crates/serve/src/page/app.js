// The frame: which view is shown, which collection is asked, light or dark.

import * as ask from "./ask.js";
import * as library from "./library.js";
import * as search from "./search.js";
import { $, get, make, tell } from "./parts.js";

const views = { ask, search, library };
const focus = { ask: "question", search: "query", library: "add-path" };

function show() {
  const wanted = location.hash.slice(1);
  const name = wanted in views ? wanted : "ask";
  for (const view of Object.keys(views)) {
    $(`view-${view}`).hidden = view !== name;
    const link = document.querySelector(`[data-view="${view}"]`);
    if (view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "ask" ? "docent" : `docent: ${name}`;
  tell(null);
  views[name].shown?.();
  $(focus[name]).focus({ preventScroll: true });
}

// Light, dark, or as the system has it.
const themes = ["auto", "light", "dark"];
function theme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  $("theme").textContent = `Theme: ${name}`;
  localStorage.setItem("docent-theme", name);
}
$("theme").addEventListener("click", () => {
  const now = localStorage.getItem("docent-theme") ?? "auto";
  theme(themes[(themes.indexOf(now) + 1) % themes.length]);
});
theme(themes.find((name) => name === localStorage.getItem("docent-theme")) ?? "auto");

async function collections() {
  const [{ collections }, { collection }] = await Promise.all([get("/v1/collections"), get("/v1/status")]);
  const names = collections.map(({ name }) => name).filter((name) => name != null);
  if (collection != null && !names.includes(collection)) names.push(collection);
  const option = (name) => make("option", { value: name, selected: name === (collection ?? ".") }, name);
  $("collection").replaceChildren(make("option", { value: "." }, "(no name)"), ...names.map(option));
  $("collection").closest("label").hidden = names.length === 0;
}

// "/" leads to the box of the view; Escape leaves a field.
document.addEventListener("keydown", (event) => {
  const inField = event.target.matches("input, textarea, select");
  if (event.key === "/" && !inField && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const name = document.querySelector("[aria-current]").dataset.view;
    $(focus[name]).focus();
  }
});
$("passage-close").addEventListener("click", () => $("passage").close());
$("passage").addEventListener("click", (event) => { if (event.target === $("passage")) $("passage").close(); });
$("collection").addEventListener("change", show);
addEventListener("hashchange", show);

for (const view of Object.values(views)) view.start();
collections().catch(tell).finally(show);
