// What the pages do beyond showing: the theme, live updates, words beside the points of the curve.
"use strict";

const root = document.documentElement;
const kept = (key, value) => {
  try {
    if (value !== undefined) localStorage.setItem(key, value);
    return localStorage.getItem(key);
  } catch { return null; }
};
if (["light", "dark"].includes(kept("theme"))) root.dataset.theme = kept("theme");

// --- the theme

function theme() {
  const button = document.getElementById("theme");
  const dark = () => root.dataset.theme === "dark" ||
    (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `${button.textContent} theme`); };
  button.hidden = false;
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; kept("theme", root.dataset.theme); name(); });
  name();
}

// --- the token of a printed address signs in, and leaves the address

async function enter() {
  const given = /^#token=([\x21-\x7e]+)$/.exec(location.hash);
  if (!given) return false;
  history.replaceState(null, "", location.pathname + location.search);
  const body = new URLSearchParams({ token: decodeURIComponent(given[1]), next: "/login" });
  const answer = await fetch("/login", { method: "POST", body });
  if (answer.ok) location.reload();
  return answer.ok;
}

// --- a page becomes its newer self, and keeps what a person holds: focus, open parts, what is typed, where it is scrolled

const OWN = { DETAILS: ["open"], INPUT: ["value", "checked"], TEXTAREA: ["value"], OPTION: ["selected"], HTML: ["data-theme"] };
const SKIP = new Set(["theme", "live", "said"]);

function become(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (SKIP.has(old.id) || old.classList.contains("tip")) return;
  const own = OWN[old.nodeName] || [];
  for (const { name, value } of [...fresh.attributes])
    if (!own.includes(name) && name !== "tabindex" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes])
    if (!own.includes(name) && name !== "tabindex" && !fresh.hasAttribute(name)) old.removeAttribute(name);
  if (old.nodeName !== "TEXTAREA") children(old, fresh);
}

function children(old, fresh) {
  const named = new Map([...old.children].filter((node) => node.id).map((node) => [node.id, node]));
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.id ? named.get(next.id) : undefined;
    if (known) {
      if (known !== at) old.insertBefore(known, at); else at = at.nextSibling;
      become(known, next);
    } else if (at && !(at.id && [...fresh.children].some((node) => node.id === at.id)) && at.nodeName === next.nodeName && !next.id) {
      const after = at.nextSibling;
      become(at, next);
      at = after;
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) { const after = at.nextSibling; if (!(at.classList && at.classList.contains("tip"))) at.remove(); at = after; }
}

let busy = false, again = false;

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.pathname + location.search, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status === 401) return location.reload();
    if (!answer.ok && answer.status !== 503 && answer.status !== 404) throw new Error(answer.status);
    document.title = page.title;
    const before = document.getElementById("state")?.textContent, counts = words("gain");
    become(document.getElementById("main"), page.getElementById("main"));
    for (const name of ["data-version", "data-topic"]) {
      const value = page.body.getAttribute(name);
      if (value === null) document.body.removeAttribute(name); else document.body.setAttribute(name, value);
    }
    const after = document.getElementById("state")?.textContent;
    if (before !== after && after) say(`It is ${after} now.`);
    else if (counts !== words("gain")) say(words("gain"));
    points();
  } finally {
    busy = false;
    if (again) { again = false; refresh(); }
    else if (document.body.dataset.version === "older") setTimeout(refresh, 1000); // it is being made
  }
}

const words = (id) => (document.getElementById(id)?.innerText || "").replace(/\s+/g, " ").trim();
const say = (text) => { document.getElementById("said").textContent = text; };

// --- news: only a page that is seen holds a connection, as a browser has six of them for all its tabs

let news;

function follow() {
  news?.close();
  if (document.visibilityState === "hidden") return;
  const gone = document.getElementById("gone");
  const topic = gone ? gone.dataset.topic : document.body.dataset.topic;
  if (topic === undefined) return;
  const light = document.getElementById("live");
  const show = (state, text) => { light.hidden = false; light.dataset.state = state; light.lastChild.textContent = text; };
  news = new EventSource("/live?topic=" + encodeURIComponent(topic));
  news.addEventListener("changed", (event) => {
    show("live", "Live");
    if (JSON.parse(event.data).version !== document.body.dataset.version) refresh().catch(() => show("lost", "Stale"));
  });
  news.addEventListener("gone", (event) => {
    show("lost", "Gone");
    say(JSON.parse(event.data).message);
    if (!document.getElementById("gone")) refresh().catch(() => {});
  });
  news.addEventListener("error", () => show("lost", "Reconnecting"));
}

// --- the curve: what a point is, for mouse and keyboard

let tip;

function tell(mark, box) {
  const text = mark.querySelector("title")?.textContent ?? mark.dataset.words;
  if (!text) return;
  if (!tip || !tip.isConnected) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("role", "tooltip");
    tip.id = "tip";
    box.append(tip);
  }
  tip.textContent = text;
  tip.hidden = false;
  const place = mark.getBoundingClientRect(), frame = box.getBoundingClientRect();
  const x = place.left - frame.left + place.width / 2, y = place.top - frame.top;
  tip.classList.toggle("below", y < tip.offsetHeight + 14);
  const left = Math.max(0, Math.min(frame.width - tip.offsetWidth, x - tip.offsetWidth / 2));
  const top = y < tip.offsetHeight + 14 ? y + place.height + 10 : y - tip.offsetHeight - 10;
  tip.style.left = `${left}px`;
  tip.style.top = `${top}px`;
}

const links = () => [...document.querySelectorAll("#curve a")].sort((one, two) => number(one) - number(two));
const number = (link) => Number(link.querySelector("[data-candidate]").dataset.candidate);

function points() {
  const all = links();
  if (all.length && !all.some((link) => link.getAttribute("tabindex") === "0")) all[0].setAttribute("tabindex", "0");
  for (const link of all) {
    const title = link.querySelector("title");
    if (title) { link.firstElementChild.dataset.words = title.textContent; link.setAttribute("aria-label", title.textContent); title.remove(); }
  }
}

function curve() {
  const box = document.getElementById("curve");
  if (!box) return;
  points();
  const hide = () => { if (tip) tip.hidden = true; };
  const over = (event) => { const mark = event.target.closest("[data-candidate]"); if (mark) tell(mark, box); else hide(); };
  box.addEventListener("mouseover", over);
  box.addEventListener("mouseleave", hide);
  box.addEventListener("focusin", (event) => { const link = event.target.closest("a"); if (link) tell(link.firstElementChild, box); });
  box.addEventListener("focusout", hide);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    const all = links(), at = all.indexOf(document.activeElement);
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    event.preventDefault();
    for (const link of all) link.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}

addEventListener("DOMContentLoaded", async () => {
  theme();
  curve();
  if (await enter().catch(() => false)) return;
  follow();
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => news?.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
});
