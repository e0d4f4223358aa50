// What all views use: elements, the server, numbers. Text from documents only ever becomes text, never markup.

export const $ = (id) => document.getElementById(id);

// An element: make("li", {class: "line"}, "text", another).
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const clientId = crypto.randomUUID?.() ?? String(Math.random());

function headers(more = {}) {
  const token = sessionStorage.getItem("docent-token");
  return { "X-Client-Id": clientId, ...(token ? { Authorization: `Bearer ${token}` } : {}), ...more };
}

export class Trouble extends Error {
  constructor(body, status) {
    super(body?.error?.message ?? `The server answered with status ${status}.`);
    this.code = body?.error?.code;
    this.status = status;
  }
}

// Asks until the person gives a token that the server takes, or gives up.
async function send(path, options) {
  for (;;) {
    const response = await fetch(path, { ...options, headers: headers(options.headers) }).catch((error) => {
      if (error.name === "AbortError") throw error;
      throw new Error("docent cannot be reached. Is `docent serve` still running?");
    });
    if (response.ok) return response;
    const trouble = new Trouble(await response.json().catch(() => null), response.status);
    if (response.status !== 401 || !(await askForToken())) throw trouble;
  }
}

let asking = null;
function askForToken() {
  const dialog = $("token");
  asking ??= new Promise((resolve) => {
    $("token-value").value = "";
    dialog.returnValue = "";
    dialog.showModal();
    const given = () => sessionStorage.setItem("docent-token", $("token-value").value.trim());
    $("token-form").addEventListener("submit", given, { once: true });
    dialog.addEventListener("close", () => { asking = null; resolve($("token-value").value.trim() !== ""); }, { once: true });
    dialog.addEventListener("cancel", () => { $("token-value").value = ""; }, { once: true });
  });
  return asking;
}

export async function get(path) {
  return (await send(path, { method: "GET" })).json();
}

export async function remove(path) {
  return (await send(path, { method: "DELETE" })).json();
}

export async function post(path, body, options = {}) {
  const json = { "Content-Type": "application/json" };
  return (await send(path, { method: "POST", headers: json, body: JSON.stringify(body), ...options })).json();
}

export async function put(path, body) {
  return (await send(path, { method: "PUT", headers: { "Content-Type": "application/octet-stream" }, body })).json();
}

// Server-sent events of a POST: calls on(kind, data) for each.
export async function events(path, body, signal, on) {
  const json = { "Content-Type": "application/json", Accept: "text/event-stream" };
  const response = await send(path, { method: "POST", headers: json, body: JSON.stringify(body), signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const whole = held.split("\n\n");
    held = whole.pop();
    for (const event of whole) {
      const kind = event.match(/^event: (.*)$/m)?.[1];
      const data = event.match(/^data: (.*)$/m)?.[1];
      if (data) on(kind, JSON.parse(data));
    }
  }
}

export const collection = () => $("collection").value;
export const query = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value != null && value !== ""));

export function tell(error) {
  if (error?.name === "AbortError") return;
  $("trouble").hidden = !error;
  $("trouble").textContent = error?.message ?? "";
}

export const count = (n) => n.toLocaleString("en");

export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let at = 0;
  for (; bytes >= 1024 && at + 1 < units.length; at++) bytes /= 1024;
  return `${at ? bytes.toFixed(1) : bytes} ${units[at]}`;
}

export function duration(seconds) {
  if (seconds < 99.5) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

export const fileName = (path) => path.split(/[\\/]/).pop();
export const place = (at) => (at.page ? `page ${at.page}` : `line ${at.line_start}`);
export const list = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

export function figure(number, what) {
  return make("div", {}, make("b", {}, number), make("span", { class: "quiet" }, what));
}

// Opens a passage of a document with the span marked.
export async function openPassage(at, of = collection()) {
  try {
    const where = { path: at.path, collection: of, byte_start: at.byte_start, byte_end: at.byte_end, around: 3000 };
    const text = await get(`/v1/documents/text?${query(where)}`);
    const span = at.byte_start == null ? text.text : make("mark", {}, text.text);
    $("passage-title").textContent = text.title ? `${text.title} (${fileName(text.path)})` : fileName(text.path);
    const heads = at.heading_path?.length ? ` · ${at.heading_path.join(" › ")}` : "";
    $("passage-note").textContent = `${text.path} · ${place(text)}${heads}`;
    $("passage-text").replaceChildren(text.before, span, text.after);
    $("passage").showModal();
    if (span instanceof Element) span.scrollIntoView({ block: "center" });
    else $("passage-text").scrollTop = 0;
  } catch (error) {
    tell(error);
  }
}
