// The library: what is in it, what comes in, what could not be read, and what is kept of what was read.

import { $, collection, count, figure, fileName, get, make, openPassage, post, put, query, remove, size, tell } from "./parts.js";

const POLL_MS = 500;
let polling = null;

const phases = { waiting: "waiting for", renewing: "bringing the index to the present format", scanning: "looking for files", working: "reading", sorting: "sorting" };
const kinds = { add: "Adding", update: "Looking again", upload: "Taking in" };

function summary(done) {
  const parts = ["added", "changed", "renamed", "removed", "unchanged", "skipped", "failed"].filter((key) => done[key] > 0);
  return parts.length ? parts.map((key) => `${count(done[key])} ${key}`).join(", ") : "nothing to do";
}

function job(one) {
  const isOver = !["waiting", "running"].includes(one.state);
  const at = one.progress;
  let words = { waiting: "waits its turn", done: one.summary && summary(one.summary), failed: one.error?.message, cancelled: "stopped; what was done is kept" }[one.state];
  if (at) {
    const files = at.files_total ? ` ${count(at.files_done)} of ${count(at.files_total)}` : at.files_done ? ` ${count(at.files_done)}` : "";
    words = `${phases[at.phase]}${files}${at.what ? `: ${fileName(at.what)}` : ""}`;
  }
  const bar = isOver ? null : make("progress", { "aria-label": "Progress", ...(at?.total ? { max: at.total, value: at.done } : {}) });
  const stop = isOver ? null : make("button", { type: "button", onclick: () => remove(`/v1/jobs/${one.id}`).catch(tell) }, "Stop");
  const tag = { done: "good", failed: "bad" }[one.state] ?? "";
  return make("li", {}, make("div", { class: "line" },
    make("span", {}, `${kinds[one.kind] ?? one.kind}: ${words ?? ""}`, make("span", { class: `tag ${tag}` }, one.state)), stop), bar);
}

// Looks at the jobs until all are over, then at the library once more.
async function poll() {
  clearTimeout(polling);
  try {
    const { jobs } = await get("/v1/jobs");
    $("jobs").replaceChildren(...jobs.slice(-5).reverse().map(job));
    if (jobs.some(({ state }) => state === "waiting" || state === "running")) polling = setTimeout(poll, POLL_MS);
    else if (polling) { polling = null; await refresh(); }
  } catch (error) {
    tell(error);
  }
}

async function begin(work) {
  tell(null);
  try {
    await work();
    polling = setTimeout(poll, 0);
  } catch (error) {
    tell(error);
  }
}

async function forget(path) {
  if (!confirm(`Forget ${path}? The files themselves stay.`)) return;
  try {
    await remove(`/v1/documents?${query({ path, collection: collection() })}`);
    await refresh();
  } catch (error) {
    tell(error);
  }
}

async function documents() {
  const wanted = { collection: collection(), contains: $("document-filter").value, limit: 500 };
  const { documents, total } = await get(`/v1/documents?${query(wanted)}`);
  $("document-count").textContent = total > documents.length ? `(${count(documents.length)} of ${count(total)})` : `(${count(total)})`;
  $("documents").replaceChildren(...documents.map((one) => make("tr", {},
    make("td", {}, make("button", { type: "button", title: one.path, onclick: () => openPassage({ path: one.path }) }, one.title ? `${fileName(one.path)}: ${one.title}` : fileName(one.path))),
    make("td", {}, one.format), make("td", { class: "number" }, size(one.bytes)), make("td", { class: "number" }, count(one.passages)))));
}

function status(now) {
  $("figures").replaceChildren(
    figure(count(now.documents), "documents"), figure(count(now.passages), "passages"),
    figure(size(now.text_bytes), "of text"), figure(size(now.index.bytes), "index on disk"));
  const kept = now.roots.filter((root) => root.remembered);
  const root = ({ path }) => make("li", { class: "line" }, make("span", {}, path), make("button", { type: "button", "aria-label": `Forget ${path}`, onclick: () => forget(path) }, "Forget"));
  $("roots").replaceChildren(...(kept.length ? kept.map(root) : [make("li", { class: "quiet" }, "None yet.")]));
  $("missing-box").hidden = now.not_indexed.length === 0;
  $("missing-count").textContent = `(${count(now.not_indexed.length)})`;
  const missing = ({ path, fate, reason }) => make("li", { class: "line" }, make("span", {}, path, make("span", { class: "head quiet" }, ` ${reason}`)), make("span", { class: `tag ${fate === "failed" ? "bad" : ""}` }, fate));
  $("missing").replaceChildren(...now.not_indexed.slice(0, 500).map(missing));
  const { addable, watch } = now.server;
  const from = addable.length ? `Folders below ${addable.join(", ")} may be added from here.` : "The server was started without --root: only folders that are in the library already can be added from here, and documents can be uploaded.";
  $("add-where").textContent = watch.on ? `${from} Changes are taken in as they happen.` : from;
}

async function cache() {
  const { bytes, max_bytes, models, spared } = await get("/v1/cache");
  const tokens = models.reduce((sum, model) => sum + model.tokens, 0);
  const share = spared.prompt_tokens ? `${Math.round((100 * spared.cached_tokens) / spared.prompt_tokens)} %` : "–";
  $("cache").replaceChildren(
    figure(count(tokens), "tokens kept"), figure(size(bytes), `on disk, of ${size(max_bytes)} at most`),
    figure(share, "of what questions read since the start was there already"), figure(count(spared.cached_tokens), "tokens not read again"));
}

async function refresh() {
  try {
    await Promise.all([get(`/v1/status?${query({ collection: collection() })}`).then(status), documents(), cache()]);
  } catch (error) {
    tell(error);
  }
}

export function shown() {
  refresh();
  poll();
}

export function start() {
  $("add-form").addEventListener("submit", (event) => {
    event.preventDefault();
    begin(() => post("/v1/documents", { paths: [$("add-path").value.trim()], collection: collection() }));
  });
  $("update").addEventListener("click", () => begin(() => post("/v1/documents/update", { collection: collection() })));
  $("upload").addEventListener("change", () => begin(async () => {
    for (const file of $("upload").files) {
      await put(`/v1/documents/upload?${query({ name: file.name, collection: collection() })}`, file);
    }
    $("upload").value = "";
  }));
  $("purge").addEventListener("click", () => {
    if (confirm("Forget what was kept? The next questions read their documents again.")) {
      remove("/v1/cache").then(cache, tell);
    }
  });
  let typing = null;
  $("document-filter").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => documents().catch(tell), 150); });
}
