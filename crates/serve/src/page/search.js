// Searching: passages, best first, the words of the query marked.

import { $, collection, count, fileName, list, make, openPassage, place, post, tell } from "./parts.js";

// How much of a passage is shown, in characters.
const SNIPPET = 420;

// A text with the query's words marked.
function marked(text, words) {
  if (words.length === 0) return [text];
  const escaped = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${escaped.join("|")})`, "gi"));
  return parts.map((part, at) => (at % 2 ? make("mark", {}, part) : part));
}

function hit(found, words) {
  const text = found.text.length > SNIPPET ? `${found.text.slice(0, SNIPPET)}…` : found.text;
  const heads = found.heading_path.length ? make("span", { class: "head" }, found.heading_path.join(" › ")) : null;
  return make("li", {}, make("button", { class: "card", type: "button", onclick: () => openPassage(found, found.collection ?? ".") },
    make("span", { class: "where" }, `${fileName(found.path)}, ${place(found)}`),
    make("span", { class: "tag" }, found.format),
    found.changed ? make("span", { class: "tag bad" }, "changed since it was indexed") : null,
    heads, make("span", { class: "text" }, ...marked(text, words))));
}

async function search() {
  const query = $("query").value;
  const started = performance.now();
  tell(null);
  $("search-status").textContent = "Searching";
  try {
    const { hits } = await post("/v1/search", {
      query,
      limit: 20,
      collections: [collection()],
      mode: $("search-mode").value,
      filter: {
        paths: list($("search-path").value),
        types: list($("search-type").value),
        after: $("search-after").value || undefined,
        before: $("search-before").value || undefined,
      },
    });
    const words = query.split(/[^\p{L}\p{N}]+/u).filter((word) => word.length > 2);
    $("hits").replaceChildren(...hits.map((found) => hit(found, words)));
    const took = Math.round(performance.now() - started);
    $("search-status").textContent = hits.length ? `${count(hits.length)} passages in ${took} ms` : "Nothing found.";
  } catch (error) {
    $("search-status").textContent = "";
    $("hits").replaceChildren();
    tell(error);
  }
}

export function start() {
  $("search-form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  for (const id of ["search-mode", "search-path", "search-type", "search-after", "search-before"]) {
    $(id).addEventListener("change", () => { if ($("query").value.trim()) search(); });
  }
}
