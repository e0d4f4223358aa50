// Asking: the answer as it is written, then checked, with the places it stands on.

import { $, collection, count, duration, events, fileName, get, list, make, openPassage, place, tell } from "./parts.js";

let running = null;

const status = (text) => { $("ask-status").textContent = text; };

function progress(done, total) {
  const bar = $("ask-bar");
  if (total) { bar.max = total; bar.value = done; } else bar.removeAttribute("value");
}

// What each event says to the person who waits.
const told = {
  queued: ({ ahead }) => status(ahead ? `${ahead} ${ahead === 1 ? "question is" : "questions are"} before yours` : "Searching"),
  retrieved: ({ hits, seconds }) => status(`${count(hits)} passages found in ${seconds.toFixed(2)} s`),
  packed: ({ passages, left_out }) => status(`Reading ${passages} passages${left_out ? `, ${left_out} left out` : ""}`),
  hashing: ({ done, total }) => { progress(done, total); status("First use of this model: its file is being read"); },
  reading: ({ cached_tokens, prompt_tokens, estimate_s }) => {
    const togo = estimate_s >= 1.5 ? `; about ${duration(estimate_s)} to go` : "";
    status(`${count(cached_tokens)} of ${count(prompt_tokens)} tokens were read before${togo}`);
  },
  prefill: ({ done, total }) => progress(done, total),
  thinking: ({ text }) => {
    $("thinking").hidden = false;
    $("thinking-text").append(text);
    progress();
    status("Thinking");
  },
  answer: ({ text }) => {
    $("answer").hidden = false;
    $("answer-text").append(text);
    progress();
    status("Writing");
  },
  note: ({ message }) => { $("usage").textContent = message; },
  result: (answer) => show(answer),
  error: ({ error }) => { throw new Error(error.message); },
};

const notes = {
  partly: "Part of this answer was not found in your documents; it is underlined.",
  not_found: "Your documents do not answer this.",
};

// The answer's text, its [n] as buttons, what nothing supports underlined.
function written(answer) {
  const parts = [];
  let rest = answer.answer;
  const add = (text, isUnsupported) => {
    for (const piece of text.split(/(\[\d+\])/)) {
      const n = Number(piece.match(/^\[(\d+)\]$/)?.[1]);
      const cited = answer.citations.find((citation) => citation.n === n);
      if (cited) parts.push(make("button", { class: "cite", type: "button", "aria-label": `Source ${n}`, onclick: () => openPassage(cited) }, piece));
      else if (piece) parts.push(isUnsupported ? make("span", { class: "unsupported" }, piece) : piece);
    }
  };
  for (const sentence of answer.status === "partly" ? answer.unsupported : []) {
    const at = rest.indexOf(sentence);
    if (at < 0) continue;
    add(rest.slice(0, at));
    add(sentence, true);
    rest = rest.slice(at + sentence.length);
  }
  add(rest);
  return parts;
}

const checks = { verified: ["good", "verified"], repaired: ["good", "quotation mended"], source_changed: ["bad", "file has changed"], source_gone: ["bad", "file is gone"] };

function source(at) {
  const [kind, words] = checks[at.check] ?? ["", ""];
  const heads = at.heading_path.length ? make("span", { class: "head" }, at.heading_path.join(" › ")) : null;
  const number = at.n ? `[${at.n}] ` : "";
  return make("li", {}, make("button", { class: "card", type: "button", onclick: () => openPassage(at) },
    make("span", { class: "where" }, `${number}${fileName(at.path)}, ${place(at)}`),
    words ? make("span", { class: `tag ${kind}` }, words) : null,
    heads, make("span", { class: "text" }, at.quote)));
}

function show(answer) {
  $("ask-progress").hidden = $("ask-stop").hidden = true;
  $("answer").hidden = false;
  $("answer-text").replaceChildren(...written(answer));
  $("answer-note").hidden = !(answer.status in notes);
  $("answer-note").textContent = notes[answer.status] ?? "";
  const places = answer.citations.length ? answer.citations : answer.nearest;
  $("sources-title").hidden = places.length === 0;
  $("sources-title").textContent = answer.citations.length ? "Sources" : "The nearest passages";
  $("sources").replaceChildren(...places.map(source));
  const { prompt_tokens, cached_tokens } = answer.usage;
  const share = prompt_tokens ? ` (${Math.round((100 * cached_tokens) / prompt_tokens)} %)` : "";
  const read = `${count(prompt_tokens)} tokens read, ${count(cached_tokens)} of them before${share}`;
  $("usage").textContent = `${answer.model}: ${read}; first word after ${answer.timing.first_token_s.toFixed(1)} s, all after ${answer.timing.total_s.toFixed(1)} s`;
}

function request() {
  const budget = $("ask-budget").value.trim();
  const value = (id) => $(id).value || undefined;
  return {
    question: $("question").value,
    collection: collection(),
    model: value("ask-model"),
    style: value("ask-style"),
    budget: budget === "" ? undefined : /^\d+$/.test(budget) ? Number(budget) : budget,
    filter: { paths: list($("ask-path").value), types: list($("ask-type").value) },
    stream: true,
  };
}

async function ask() {
  running?.abort();
  const mine = (running = new AbortController());
  tell(null);
  for (const id of ["answer", "thinking", "answer-note", "sources-title"]) $(id).hidden = true;
  for (const id of ["answer-text", "thinking-text", "sources", "usage"]) $(id).replaceChildren();
  $("ask-progress").hidden = $("ask-stop").hidden = false;
  progress();
  status("Asking");
  try {
    await events("/v1/ask", request(), mine.signal, (kind, data) => told[kind]?.(data));
  } catch (error) {
    tell(error);
  }
  if (running === mine) {
    running = null;
    $("ask-progress").hidden = $("ask-stop").hidden = true;
  }
}

export function start() {
  $("ask-form").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
  $("ask-stop").addEventListener("click", () => running?.abort());
  $("question").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); $("ask-form").requestSubmit(); }
    if (event.key === "Escape") running?.abort();
  });
}

let hasModels = false;
export async function shown() {
  if (hasModels) return;
  hasModels = true;
  try {
    const { data } = await get("/v1/models");
    const writes = data.filter((model) => model.docent.kind === "generation");
    $("ask-model").append(...writes.map((model) => make("option", { value: model.id }, model.id)));
  } catch (error) {
    hasModels = false;
    tell(error);
  }
}
