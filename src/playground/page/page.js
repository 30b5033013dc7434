// The page: who you are, what the bot wrote to you, and the clock.

import { follow, get, post } from "./api.js";
import { blocks } from "./blocks.js";
import { Modal } from "./modal.js";
import { el, mrkdwn } from "./text.js";

const $ = (id) => document.getElementById(id);
const GUIDE = "You are Maya, a sales rep. Press “Maya's 14:00 demo has ended”, answer, then become "
  + "Leo, her manager, and turn the clock to Monday 08:00.";

let people = [];
let commands = [];
let me = null;
let tab = "messages";
let zone = "UTC";
let now = null;
let seen = load("seen", {});
const drawn = new Map();
const modal = new Modal($("modal"), { say });

function load(key, missing) {
  try {
    return JSON.parse(sessionStorage.getItem(key)) ?? missing;
  } catch {
    return missing;
  }
}

function keep(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch { /* Private windows may refuse; nothing is lost but a mark. */ }
}

function say(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
  clearTimeout(say.timer);
  if (text) say.timer = setTimeout(() => say(""), 6000);
}

async function start() {
  const about = await get("people");
  ({ people, commands } = about);
  $("team").textContent = about.team;
  readHash();
  window.addEventListener("hashchange", () => {
    readHash();
    redraw();
  });
  for (const name of ["messages", "home"]) {
    $(`tab-${name}`).addEventListener("click", () => go(me, name));
  }
  $("composer").addEventListener("submit", send);
  $("text").addEventListener("input", hint);
  $("later").addEventListener("click", () => turn(new Date(now.getTime() + 3600e3).toISOString()));
  if (!load("guided", false)) {
    $("guide").hidden = false;
    $("guide").querySelector("p").textContent = GUIDE;
    $("guide").querySelector("button").addEventListener("click", () => {
      $("guide").hidden = true;
      keep("guided", true);
    });
  }
  follow({
    changed: redraw,
    lost: () => {
      $("banner").hidden = false;
      $("banner").textContent = "The demo has stopped. Start it again and this page goes on.";
    },
    back: () => say(""),
  });
}

function readHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  me = people.some((person) => person.id === wanted.get("as")) ? wanted.get("as") : people[0].id;
  tab = wanted.get("tab") === "home" ? "home" : "messages";
  if (tab === "home") post("home", { as: me });
}

function go(person, place) {
  location.hash = new URLSearchParams({ as: person, tab: place }).toString();
}

let drawing = false;
let again = false;

// One redraw at a time; what changed meanwhile is drawn afterwards.
async function redraw() {
  if (drawing) {
    again = true;
    return;
  }
  drawing = true;
  do {
    again = false;
    const [state, clock, marks] = await Promise.all([
      get(`state?as=${encodeURIComponent(me)}`), get("clock"), unread(),
    ]);
    drawClock(clock);
    drawMessages(state);
    drawHome(state);
    drawPeople(marks);
    modal.show(me, state.modals, state.names);
  } while (again);
  drawing = false;
}

// How many messages from the bot each of the others has not seen.
async function unread() {
  const counts = {};
  await Promise.all(people.filter((person) => person.id !== me).map(async ({ id }) => {
    const { messages } = await get(`state?as=${encodeURIComponent(id)}`);
    counts[id] = messages.filter((one) => one.from_bot && one.ts > (seen[id] ?? "")).length;
  }));
  return counts;
}

function drawPeople(marks) {
  $("people").replaceChildren(...people.map((person) => el("button", {
    type: "button", class: person.id === me ? "chosen" : "",
    "aria-pressed": String(person.id === me), onclick: () => go(person.id, tab),
  },
  el("span", { class: "avatar", "aria-hidden": "true" }, initials(person.name)),
  el("span", { class: "who" }, person.name, el("small", {}, person.title)),
  marks[person.id] ? el("span", { class: "unread", "aria-label": `${marks[person.id]} new` },
    String(marks[person.id])) : null)));
  for (const name of ["messages", "home"]) {
    $(`tab-${name}`).setAttribute("aria-selected", String(tab === name));
    $(name).hidden = tab !== name;
  }
  $("composer").hidden = tab !== "messages";
}

function initials(name) {
  return name.split(" ").map((word) => word[0]).slice(0, 2).join("");
}

function drawClock(clock) {
  zone = clock.zone;
  now = new Date(clock.now);
  $("now").textContent = new Intl.DateTimeFormat("en-GB", {
    weekday: "long", day: "numeric", month: "long", hour: "2-digit", minute: "2-digit",
    timeZone: zone,
  }).format(now);
  $("stops").replaceChildren(...clock.stops.map(({ at, label }) => el("button", {
    type: "button", onclick: () => turn(at),
  }, el("span", {}, label), el("small", {}, time(at, { weekday: "short" })))));
}

async function turn(to) {
  const answer = await post("clock", { to });
  if (!answer.ok) say(answer.error);
}

function time(at, more = {}) {
  return new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit", minute: "2-digit", timeZone: zone, ...more,
  }).format(new Date(at));
}

function day(at) {
  return new Intl.DateTimeFormat("en-GB", {
    weekday: "long", day: "numeric", month: "long", timeZone: zone,
  }).format(new Date(at));
}

// Only what changed is drawn anew, so that focus and scrolling stay.
function drawMessages(state) {
  const list = $("list");
  const place = $("messages");
  const atBottom = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
  const roots = state.messages.filter((one) => !one.thread_ts);
  const nodes = [];
  let last = null;
  for (const one of roots) {
    const replies = state.messages.filter((reply) => reply.thread_ts === one.ts);
    if (day(one.time) !== last) nodes.push(cached(`day ${(last = day(one.time))} ${one.ts}`, last,
      () => el("li", { class: "day" }, day(one.time))));
    nodes.push(cached(`${me} ${one.ts}`, [one, replies, state.names],
      () => message(one, replies, state.names)));
  }
  if (nodes.length === 0) {
    nodes.push(cached("none", "", () => el("li", { class: "day" },
      "Nothing yet. Turn the clock, or type /debrief.")));
  }
  const same = nodes.length === list.children.length
    && nodes.every((node, at) => node === list.children[at]);
  if (!same) list.replaceChildren(...nodes);
  if (atBottom) place.scrollTop = place.scrollHeight;
  if (tab === "messages" && state.messages.length) {
    seen = { ...seen, [me]: state.messages.at(-1).ts };
    keep("seen", seen);
  }
}

function cached(key, content, draw) {
  const text = JSON.stringify(content);
  const known = drawn.get(key);
  if (known?.text === text) return known.node;
  const node = draw();
  drawn.set(key, { text, node });
  return node;
}

function message(one, replies, names) {
  return el("li", { class: one.ephemeral ? "message ephemeral" : "message" },
    el("span", { class: one.from_bot ? "avatar bot" : "avatar", "aria-hidden": "true" },
      one.from_bot ? "d" : initials(one.author)),
    el("div", { class: "content" },
      el("p", { class: "by" }, el("strong", {}, one.author), " ", el("small", {}, time(one.time)),
        one.edited ? el("small", {}, " (edited)") : null,
        one.ephemeral ? el("small", {}, " Only visible to you") : null),
      body(one, names),
      replies.length ? el("ol", { class: "thread" },
        replies.map((reply) => message(reply, [], names))) : null,
      one.from_bot && !one.ephemeral && !one.thread_ts ? replyBox(one) : null));
}

function body(one, names) {
  if (!one.blocks?.length) return el("p", {}, mrkdwn(one.text, names));
  const context = {
    names, fields: new Map(),
    act: (action) => act({ type: "message", ts: one.ts }, action),
  };
  return el("div", {}, blocks(one.blocks, context));
}

async function act(container, action) {
  const answer = await post("action", { as: me, container, action, values: {} });
  if (!answer.ok) say(answer.error);
  else if (!answer.acked) say("The app did not respond.");
}

function replyBox(one) {
  const box = el("details", { class: "reply" }, el("summary", {}, "Reply in thread"),
    el("form", {
      autocomplete: "off", onsubmit: async (event) => {
        event.preventDefault();
        const input = event.currentTarget.querySelector("input");
        if (!input.value.trim()) return;
        await post("message", { as: me, text: input.value, thread_ts: one.ts });
        input.value = "";
        box.open = false;
      },
    }, el("input", { "aria-label": "Reply", placeholder: "Reply…" }),
    el("button", { type: "submit" }, "Send")));
  return box;
}

function drawHome(state) {
  const context = {
    names: state.names, fields: new Map(),
    act: (action) => act({ type: "view", view_id: state.home.id }, action),
  };
  const text = JSON.stringify(state.home?.blocks ?? null);
  if ($("home").dataset.shown === `${me} ${text}`) return;
  $("home").dataset.shown = `${me} ${text}`;
  $("home").replaceChildren(...(state.home
    ? blocks(state.home.blocks, context)
    : [el("p", { class: "day" }, "Opening…")]));
}

async function send(event) {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  $("text").value = "";
  hint();
  const answer = text.startsWith("/")
    ? await post("command", { as: me, text })
    : await post("message", { as: me, text });
  if (!answer.ok) say(answer.error);
  else if (answer.acked === false) say("The app did not respond.");
  $("messages").scrollTop = $("messages").scrollHeight;
}

// What may follow a slash.
function hint() {
  const typed = $("text").value;
  const fitting = typed.startsWith("/")
    ? commands.filter(({ name }) => name.startsWith(typed.split(" ")[0])) : [];
  $("hints").hidden = fitting.length === 0;
  $("hints").replaceChildren(...fitting.map(({ name, hint: what }) => el("li", {},
    el("button", {
      type: "button", onclick: () => {
        $("text").value = `${name} `;
        $("text").focus();
        hint();
      },
    }, el("strong", {}, name), ` ${what}`))));
}

start().catch((error) => say(String(error.message ?? error)));
