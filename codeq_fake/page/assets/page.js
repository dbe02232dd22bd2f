// Keeps a visible page up to date. Without this script a page stays as it was loaded.
"use strict";

(() => {
  const clock = document.getElementById("clock");
  const said = document.getElementById("said");
  const state = document.getElementById("live-state");
  const control = document.getElementById("live-switch");
  const lost = document.getElementById("lost");
  const news = document.getElementById("news");
  if (!clock || !control || !window.EventSource) return;

  let source = null;
  let paused = false;
  let loads = Promise.resolve();
  let waiting = false;

  // How far the fake's clock is ahead of this machine's, in milliseconds.
  let loaded = Date.now();
  const offset = () => Number(clock.dataset.now) - loaded;

  function duration(seconds) {
    if (seconds < 1) return `${Math.floor(seconds * 1000)} ms`;
    if (seconds < 10) return `${seconds.toFixed(1)} s`.replace(".0 ", " ");
    const whole = Math.floor(seconds);
    const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
    for (const [size, unit, smaller, smallerUnit] of units) {
      if (whole >= size) {
        const rest = Math.floor((whole % size) / smaller);
        return `${Math.floor(whole / size)} ${unit}` + (rest ? ` ${rest} ${smallerUnit}` : "");
      }
    }
    return `${whole} s`;
  }

  function tick() {
    if (paused || !lost.hidden || clock.dataset.mode !== "real") return;
    const now = Date.now() + offset();
    const shown = new Date(now).toISOString();
    document.getElementById("clock-now").replaceChildren(shown.slice(11, 19), small(shown.slice(19, 21)));
    for (const time of document.querySelectorAll("[data-until]")) {
      const left = (Number(time.dataset.until) - now) / 1000;
      time.textContent = left > 0 ? `in ${duration(left)}` : time.dataset.past;
    }
    for (const time of document.querySelectorAll("[data-since]")) {
      time.textContent = duration(Math.max(0, now - Number(time.dataset.since)) / 1000);
    }
  }

  function small(text) {
    const element = document.createElement("small");
    element.textContent = text;
    return element;
  }

  // A form's own id property is its field of that name, if it has one.
  const idOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("id") : null);

  // Changes the old part of the page into the new one and keeps what is equal: focus, selection, open details.
  function sync(old, fresh) {
    if (old.nodeName !== fresh.nodeName || idOf(old) !== idOf(fresh)) {
      old.replaceWith(document.importNode(fresh, true));
    } else if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
    } else {
      for (const { name } of [...old.attributes]) {
        if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
      }
      for (const { name, value } of fresh.attributes) {
        if (old.getAttribute(name) !== value) old.setAttribute(name, value);
      }
      syncChildren(old, fresh);
    }
  }

  function syncChildren(old, fresh) {
    const wanted = new Set([...fresh.children].map(idOf).filter(Boolean));
    const known = new Map([...old.children].filter(idOf).map((child) => [idOf(child), child]));
    let at = old.firstChild;
    const step = (node) => { at = node.nextSibling; return node; };
    for (const child of [...fresh.childNodes]) {
      while (at && idOf(at) && !wanted.has(idOf(at))) step(at).remove();
      const match = idOf(child) ? known.get(idOf(child)) : at && !idOf(at) ? at : null;
      if (!match) old.insertBefore(document.importNode(child, true), at);
      else if (match === at) sync(step(match), child);
      else { old.insertBefore(match, at); sync(match, child); }
    }
    while (at) step(at).remove();
  }

  // Whether the rows of a list stay where they are, since a pointer or the focus is on one: the button tells how many
  // are new. Rows that are there already are updated.
  function holds(old, fresh, acted) {
    if (!news || !old.hasAttribute("data-list")) return false;
    const rows = new Map([...old.querySelectorAll("tbody > tr")].map((row) => [row.id, row]));
    const freshRows = [...fresh.querySelectorAll("tbody > tr")];
    const added = freshRows.filter((row) => !rows.has(row.id)).length;
    const held = !acted && added > 0 && rows.size > 0 && (old.matches(":hover") || old.contains(document.activeElement));
    if (held) for (const row of freshRows) if (rows.has(row.id)) sync(rows.get(row.id), row);
    news.textContent = `${added}${added > 1 && added === freshRows.length ? " or more" : ""} new`;
    news.hidden = !held;
    return held;
  }

  // Loads the page again and updates its live parts; after an action, also its message.
  async function load(acted) {
    const headers = acted ? {} : { "X-Live": "1" };
    const reply = await fetch(location.href, { headers, cache: "no-store" });
    if (!reply.ok) { stop("reload to go on"); return; }
    lost.hidden = true;
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    loaded = Date.now();
    for (const old of document.querySelectorAll(acted ? "[data-live], #said" : "[data-live]")) {
      const fresh = page.getElementById(old.id);
      if (fresh && !holds(old, fresh, acted)) sync(old, fresh);
    }
  }

  // One load after the other; at most one waits that does not follow an action.
  function refresh(acted = false) {
    if (waiting && !acted) return loads;
    waiting ||= !acted;
    loads = loads.then(async () => {
      if (!acted) waiting = false;
      await load(acted);
    }).catch(lose);
    return loads;
  }

  // An action that leads back to this page does not leave it: scroll position and focus stay.
  async function act(event) {
    const form = event.target;
    if (!form.hasAttribute("data-stay")) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    try {
      const reply = await fetch(form.getAttribute("action"), { method: "POST", body, redirect: "manual" });
      if (reply.type === "opaqueredirect") await refresh(true);
      else refuse(new DOMParser().parseFromString(await reply.text(), "text/html"));
    } catch {
      lose();
    }
    if (document.activeElement === document.body) said.focus();
  }

  function refuse(page) {
    const reason = document.createElement("p");
    reason.className = "said problem";
    reason.textContent = page.querySelector("main > p:not([hidden])")?.textContent ?? "That is not possible.";
    said.replaceChildren(reason);
  }

  function say(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  // While the fake does not answer, the page says so where everybody looks, and its clock stands.
  function lose() {
    say("the fake does not answer");
    lost.hidden = false;
  }

  function start() {
    if (source || paused || document.hidden) return;
    source = new EventSource("/_fake/page/events");
    let failures = 0; // a reset ends the stream: only what fails twice is lost
    source.onopen = () => { say("live"); failures = 0; lost.hidden = true; };
    source.onmessage = () => refresh();
    source.onerror = () => { failures += 1; if (failures > 1) lose(); };
  }

  function stop(text) {
    if (source) source.close();
    source = null;
    say(text);
  }

  document.documentElement.classList.toggle("copies", Boolean(navigator.clipboard));
  document.addEventListener("click", async ({ target }) => {
    if (target.dataset?.copy === undefined) return;
    const source = document.getElementById(target.dataset.copy);
    await navigator.clipboard.writeText(source ? source.textContent : location.href);
    target.textContent = "Copied";
  });
  if (news) {
    news.addEventListener("click", () => refresh(true));
    document.getElementById("list").addEventListener("mouseleave", () => { if (!news.hidden) refresh(true); });
  }
  control.hidden = false;
  control.addEventListener("click", () => {
    paused = !paused;
    control.setAttribute("aria-pressed", String(paused));
    if (paused) stop("paused"); else start();
  });
  // A hidden tab needs no stream, and a browser has few to give.
  document.addEventListener("visibilitychange", () => (document.hidden ? stop("paused") : start()));
  document.addEventListener("submit", act);
  addEventListener("pagehide", () => stop("paused"));
  addEventListener("pageshow", start);
  setInterval(tick, 200);
})();
