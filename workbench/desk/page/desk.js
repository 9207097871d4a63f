// The rules are in the service. The page only sends what you ask for, and shows the answer.
import { showAnswer, showPicture, showProjection, showProjector, showRequest } from "./flow.js";

const PAGE_SIZE = 20;
const POLL = 500; // milliseconds

const WORDS = {
  customer_id: { missing: "Say which customer", name: "The customer" },
  subject: { missing: "Write a subject", name: "The subject" },
  message: { missing: "Write a message", name: "The message" },
  note: { name: "The note" },
};

const { filters, creation, decision, note } = document.forms;
const find = (selector) => document.querySelector(selector);
const counts = find("#counts");
const staleCounts = find("#stale-counts");
const missing = find("#missing");
const readSide = find("#read-side");
const behind = find("#behind");
const pauseButton = find("#pause");
const withoutWaiting = find("#without-waiting");
const rows = find("#rows");
const rowTemplate = find("#row-template");
const previous = find("#previous");
const next = find("#next");
const position = find("#position");
const newButton = find("#new");
const newTicket = find("#new-ticket");
const openedTicket = find("#opened-ticket");
const unsaved = find("#unsaved");
const status = find("#status");

let state; // what the workbench says of the step
let projected; // the number of the last projection that was shown
let looks = 0; // how often the list was asked for
let sent = 0; // how many commands were sent
let opened; // the ticket that is shown
let shown = { items: [], more: false, counts: {} }; // list and dashboard, as they were answered
let stale = { rows: {}, counts: "", missing: "" }; // where these differ from the tickets, in words
const awaited = new Map(); // tickets that were changed here and that the list does not show yet
let drawn = ""; // all of that as it was drawn last
const drafts = new Map(); // notes that were typed and not saved, by the id of the ticket

class Problem extends Error {
  constructor(message, { fields = [], unsure = false } = {}) {
    super(message);
    this.fields = fields; // pairs: the name of a wrong field, and what is wrong with it
    this.unsure = unsure; // nobody knows whether the request took effect
  }
}

// Asks the service for what the page itself needs.
async function ask(path, options) {
  return read(await request(path, options));
}

// Asks the service for what a person wants, and shows the path of the request.
async function askInSight(path, { accompanies = false, ...options } = {}) {
  const inSight = showRequest(options.method ?? "GET", path, accompanies);
  let response;
  try {
    response = await request(path, options);
  } finally {
    showAnswer(inSight, response).catch(() => {}); // its figures stay unknown
  }
  return read(response);
}

async function request(path, options) {
  try {
    const response = await fetch(path, options);
    const { ok, headers } = response;
    return { ok, headers, status: response.status, body: await response.text() };
  } catch {
    throw new Problem("The service does not answer", { unsure: true });
  }
}

function read(response) {
  if (response.status === 204) return undefined;
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  const answer = isJson ? JSON.parse(response.body) : { detail: response.body };
  if (response.ok) return answer;
  if (response.status === 422) {
    const fields = answer.detail.map((each) => [each.loc.at(-1), inWords(each)]);
    throw new Problem(fields.map(([, words]) => words).join(". "), { fields });
  }
  throw new Problem(answer.detail, { unsure: response.status >= 500 });
}

function inWords({ type, loc, msg }) {
  if (loc.at(-1) === "ticket_id") return "There is no such ticket";
  const words = WORDS[loc.at(-1)];
  if (words && type === "string_too_short") return words.missing;
  if (words && type === "string_too_long") {
    return `${words.name} is too long: ${number(msg.match(/\d+/)[0])} characters at most`;
  }
  return `${loc.at(-1)}: ${msg}`;
}

// The address says which filters, which page of the list and which ticket are shown.
function address() {
  return new URLSearchParams(location.search);
}

function go(changes, { instead = false } = {}) {
  const query = address();
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  if (String(query) === String(address())) return; // else Back would lead to where you are
  const place = query.size ? `?${query}` : location.pathname;
  if (instead) history.replaceState(null, "", place);
  else history.pushState(null, "", place);
}

async function showAddress() {
  const query = address();
  filters.elements.status.value = query.get("status") ?? "";
  filters.elements.has_note.value = query.get("has_note") ?? "";
  await Promise.all([showList(), showPanel()]);
}

async function showList({ inSight = true, accompanies = false } = {}) {
  const look = ++looks;
  const query = address();
  query.delete("ticket");
  query.set("limit", PAGE_SIZE + 1); // one more shows whether there is a next page
  // The dashboard first: the row of a change is written before the change is counted. So a list
  // that we read after the counts is never older than they are.
  const numbers = await (inSight ? askInSight("/dashboard", { accompanies: true }) : ask("/dashboard"));
  const path = `/tickets?${query}`;
  const items = await (inSight ? askInSight(path, { accompanies }) : ask(path));
  if (look !== looks) return; // another page has been asked for since
  shown = { items: items.slice(0, PAGE_SIZE), more: items.length > PAGE_SIZE, counts: numbers };
  draw();
}

function draw() {
  const skip = Number(address().get("skip"));
  const drawing = JSON.stringify([shown, stale, skip]);
  if (drawing === drawn) return;
  const before = drawn ? JSON.parse(drawn)[0].items : [];
  drawn = drawing;
  const focused = rows.querySelector(":focus")?.value;
  rows.replaceChildren(...shown.items.map((item) => toRow(item, before)));
  if (focused) rows.querySelector(`[value="${focused}"]`)?.focus();
  markOpened();
  previous.disabled = skip === 0;
  next.disabled = !shown.more;
  const last = skip + shown.items.length;
  const range = shown.items.length ? `${skip + 1} to ${last}` : "No tickets here";
  if (position.textContent !== range) position.textContent = range; // else screen readers repeat it
  fill(counts, shown.counts);
  staleCounts.textContent = stale.counts;
  missing.textContent = stale.missing;
}

function toRow(item, before) {
  const row = rowTemplate.content.cloneNode(true);
  const element = row.querySelector("li");
  element.dataset.status = item.status;
  const old = before.find(({ id }) => id === item.id);
  element.classList.toggle("followed", old !== undefined && old.updated_at !== item.updated_at);
  row.querySelector("button").value = item.id;
  fill(row, { ...item, noted: item.has_note ? "note" : "", stale: stale.rows[item.id] ?? "" });
  return row;
}

async function showPanel() {
  const id = address().get("ticket");
  if (id === (opened?.id ?? null) && newTicket.hidden) return; // it is open already
  if (id === null) closePanel();
  else if (id === "new") openPanel(newTicket);
  else {
    const ticket = await askInSight(`/tickets/${id}`);
    if (id === address().get("ticket")) openTicket(ticket); // else another one was chosen since
  }
}

function openTicket(ticket) {
  decision.action = `/tickets/${ticket.id}/status`;
  note.action = `/tickets/${ticket.id}/agent-note`;
  clearProblem(note);
  showTicket(ticket);
  openPanel(openedTicket);
}

function showTicket(ticket) {
  opened = ticket;
  openedTicket.dataset.status = ticket.status;
  fill(openedTicket, ticket);
  const field = note.elements.note;
  const text = drafts.get(ticket.id) ?? ticket.agent_note ?? "";
  if (field.value !== text) field.value = text;
  unsaved.hidden = !drafts.has(ticket.id);
}

function openPanel(panel) {
  if (panel !== openedTicket) opened = undefined;
  markOpened();
  for (const each of [newTicket, openedTicket]) each.hidden = each !== panel;
  panel?.querySelector("h2").focus();
}

function closePanel() {
  const origin = rows.querySelector("[aria-current=true]") ?? newButton;
  openPanel();
  origin.focus();
}

function markOpened() {
  for (const button of rows.querySelectorAll("button")) {
    button.ariaCurrent = button.value === opened?.id;
  }
}

async function send(event) {
  event.preventDefault();
  const { target: form, submitter } = event;
  if (form.ariaBusy === "true") return; // sent, and not answered yet
  const headers = { "Content-Type": "application/json" };
  if (withoutWaiting.checked) headers.Prefer = "respond-async";
  const fields = Object.fromEntries(new FormData(form, submitter));
  const before = form === creation ? undefined : opened;
  const turn = ++sent;

  say("");
  clearProblem(form);
  form.ariaBusy = true;
  const start = performance.now();
  let created;
  try {
    const path = new URL(form.action).pathname;
    created = await askInSight(path, { method: "POST", headers, body: JSON.stringify(fields) });
  } catch (problem) {
    showProblem(form, problem);
    return;
  } finally {
    form.ariaBusy = false;
  }
  const answered = performance.now();
  const took = `${number(Math.round(answered - start))} ms`;
  let done = `${submitter.dataset.done} in ${took}`;
  if (created) {
    form.reset();
    go({ ticket: created.id }, { instead: true }); // Back leads to the list, not to an empty form
    openTicket(created);
  }
  if (form === note && drafts.get(before.id) === fields.note) drafts.delete(before.id);

  try {
    const ticket = created ?? (await ask(`/tickets/${before.id}`));
    if (ticket.id === opened?.id) showTicket(ticket);
    if (before && isSame(before, ticket)) {
      done = `Only its time has changed. ${submitter.dataset.same}. Answered in ${took}`;
    }
    const atOnce = await hasFollowed(ticket);
    const lagAtOnce = Math.round(performance.now() - answered);
    if (!atOnce) awaited.set(ticket.id, ticket);
    await showList({ accompanies: true });
    if (atOnce) {
      const how = withoutWaiting.checked
        ? `, without waiting for the projection; the list followed after ${number(lagAtOnce)} ms`
        : "; the list shows it";
      say(`${done}${how}.`);
      return;
    }
    const why = withoutWaiting.checked
      ? "without waiting for the projection"
      : "without the projection: a command waits a second for it at most";
    say(`${done}, ${why}. The list has not followed yet.`);
    while (!(await hasFollowed(ticket))) {
      if (turn !== sent) return;
      await pause(performance.now() - answered < 1000 ? 10 : 250);
    }
    const lag = Math.round(performance.now() - answered);
    await showList({ inSight: false });
    if (turn === sent) say(`${done}; the list followed after ${number(lag)} ms.`);
  } catch (problem) {
    say(`${done}; but then: ${problem.message}.`, true);
  }
}

function isSame(before, after) {
  return before.status === after.status && (before.agent_note ?? "") === (after.agent_note ?? "");
}

// Tells whether the list shows a ticket as it is now. It does not ask for the list on the page:
// the filters there may hide the ticket.
async function hasFollowed(ticket) {
  return isIn(await ask("/tickets?limit=100"), ticket);
}

function isIn(items, { id, updated_at }) {
  return items.some((item) => item.id === id && new Date(item.updated_at) >= new Date(updated_at));
}

function showProblem(form, { message, fields, unsure }) {
  const advice =
    "Look before you repeat it: the change may have been made. What you typed is still here.";
  say(unsure ? `${message}. ${advice}` : `Refused. ${message}.`, true);
  for (const [name, words] of fields) {
    const field = form.elements[name];
    field.ariaInvalid = true;
    document.getElementById(field.getAttribute("aria-describedby")).textContent = words;
  }
  form.querySelector("[aria-invalid=true]")?.focus();
}

function clearProblem(form) {
  for (const field of form.elements) field.ariaInvalid = null;
  for (const error of form.querySelectorAll(".error")) error.textContent = "";
}

async function poll() {
  try {
    if (!document.hidden) {
      showState(await ask(`/desk/state?after=${projected}`));
      if (state.xray) await compare();
    }
  } catch (problem) {
    behind.textContent = `${problem.message}.`;
  }
  for (const time of document.querySelectorAll("time[datetime]")) showTime(time, time.dateTime);
  setTimeout(poll, POLL);
}

function showState(answer) {
  if (answer.step !== state.step) location.reload(); // another step runs here by now
  if (answer.projector && answer.projector.starts > state.projector?.starts) {
    say("The projector had ended. It was started again, and goes on from its position.");
  }
  state = answer;
  readSide.hidden = state.behind_milliseconds === null && !state.projector;
  pauseButton.hidden = !state.projector;
  pauseButton.disabled = state.projector?.state === "starting";
  const isPaused = state.projector?.state === "paused";
  pauseButton.textContent = isPaused ? "Resume the projector" : "Pause the projector";
  const projector = state.projector ? `The projector is ${state.projector.state}. ` : "";
  const isWaiting = isPaused && state.behind_milliseconds === 0;
  const lag = `The read side is ${lagInWords(state.behind_milliseconds)}.`;
  behind.textContent = projector + (isWaiting ? "Nothing has changed since." : lag);
  if (state.projector) showProjector(isPaused);
  for (const projection of state.projections) {
    showProjection(projection);
    projected = projection.number;
  }
}

function lagInWords(milliseconds) {
  if (milliseconds === null) return "out of reach";
  if (milliseconds === 0) return "up to date";
  if (milliseconds < 1000) return `${Math.ceil(milliseconds)} ms behind`;
  return `${number(Math.round(milliseconds / 1000))} s behind`;
}

// Compares the list and the dashboard on the page with the tickets. If they differ, the page may be
// old, or the read side. So we read them again, and mark what still differs.
async function compare() {
  const before = await askWritten();
  let marks = differences(before, before);
  const news = before.tickets[opened?.id];
  if (news && new Date(news.updated_at) > new Date(opened.updated_at)) {
    const ticket = await ask(`/tickets/${opened.id}`);
    if (ticket.id === opened?.id) showTicket(ticket);
  }
  if (marks.counts || Object.keys(marks.rows).length) {
    await showList({ inSight: false });
    marks = differences(before, await askWritten());
  }
  if (awaited.size) {
    const newest = await ask("/tickets?limit=100");
    for (const ticket of awaited.values()) if (isIn(newest, ticket)) awaited.delete(ticket.id);
  }
  stale = { ...marks, missing: missingInWords() };
  draw();
}

// Names the awaited tickets that belong on this page of the list and are missing there.
function missingInWords() {
  const query = address();
  const status = query.get("status");
  const noted = query.get("has_note");
  const those = [...awaited.values()].filter(
    (ticket) =>
      !query.get("skip") &&
      (!status || status === ticket.status) &&
      (!noted || noted === String(Boolean(ticket.agent_note))) &&
      !shown.items.some(({ id }) => id === ticket.id),
  );
  if (!those.length) return "";
  return `Stale: not in this list yet: ${those.map(({ subject }) => `“${subject}”`).join(", ")}.`;
}

async function askWritten() {
  const ids = shown.items.map((item) => item.id);
  if (opened) ids.push(opened.id);
  const query = new URLSearchParams(ids.map((id) => ["id", id]));
  return { ids, ...(await ask(`/desk/written?${query}`)) };
}

// Returns in words how the page differs from the tickets that are the same before and after.
function differences(before, after) {
  const marks = { rows: {}, counts: "" };
  for (const item of shown.items) {
    const [old, ticket] = [before.tickets[item.id], after.tickets[item.id]];
    const known = before.ids.includes(item.id) && after.ids.includes(item.id);
    if (!known || old?.updated_at !== ticket?.updated_at) continue;
    const words = differenceOf(item, ticket);
    if (words) marks.rows[item.id] = words;
  }
  const differing = Object.keys(shown.counts).filter(
    (name) => shown.counts[name] !== after.counts[name] && before.counts[name] === after.counts[name],
  );
  if (differing.length) {
    const list = (those) => differing.map((name) => `${number(those[name])} ${name}`).join(" and ");
    marks.counts =
      `Stale: the dashboard still says ${list(shown.counts)}; the tickets say ${list(after.counts)}.`;
  }
  return marks;
}

function differenceOf(item, ticket) {
  if (!ticket) return "Stale: the list still shows it; the ticket is gone.";
  if (item.status !== ticket.status) {
    return `Stale: the list still says ${item.status}; the ticket is ${ticket.status}.`;
  }
  if (item.has_note && !ticket.has_note) {
    return "Stale: the list still says that there is a note; the ticket has none.";
  }
  if (!item.has_note && ticket.has_note) {
    return "Stale: the list says that there is no note; the ticket has one.";
  }
  if (new Date(item.updated_at) < new Date(ticket.updated_at)) {
    return "Stale: the ticket has changed; the list does not show it yet.";
  }
  return "";
}

async function pauseOrResume() {
  const paused = state.projector.state === "running";
  const headers = { "Content-Type": "application/json" };
  await ask("/desk/projector", { method: "PUT", headers, body: JSON.stringify({ paused }) });
  showState(await ask(`/desk/state?after=${projected}`));
}

async function attempt(reading) {
  say("");
  try {
    await reading;
  } catch (problem) {
    say(`${problem.message}.`, true);
  }
}

function say(sentence, isProblem = false) {
  status.textContent = sentence;
  status.classList.toggle("problem", isProblem);
}

function fill(place, values) {
  for (const element of place.querySelectorAll("[data-field]")) {
    const value = values[element.dataset.field];
    if (element instanceof HTMLTimeElement) showTime(element, value);
    else element.textContent = value;
  }
}

function showTime(element, timestamp) {
  const time = new Date(timestamp);
  element.dateTime = timestamp;
  element.title = time.toLocaleString("en", { dateStyle: "long", timeStyle: "medium" });
  const text = ago((time - Date.now()) / 1000);
  if (element.textContent !== text) element.textContent = text;
}

function ago(difference) {
  const format = new Intl.RelativeTimeFormat("en");
  for (const [unit, length] of [["day", 86_400], ["hour", 3_600], ["minute", 60]]) {
    if (Math.abs(difference) >= length) return format.format(Math.trunc(difference / length), unit);
  }
  return "just now";
}

function number(count) {
  return Number(count).toLocaleString("en");
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function start() {
  if (matchMedia("(width < 56rem)").matches) find("#way").open = false; // the list comes first
  state = await ask("/desk/state");
  projected = state.projections.at(-1)?.number ?? 0;
  find("#step").textContent = `Step ${state.step}: ${state.name}`;
  document.title = `Step ${state.step}: ${state.name} - support desk`;
  find("#idea").textContent = state.idea;
  find("#diff").hidden = !state.diff;
  find("#diff").href = state.diff;
  find("#no-diff").hidden = Boolean(state.diff);
  find("#no-xray").hidden = state.xray;
  showPicture(state.step);
  showState({ ...state, projections: [] });
  await showAddress();
}

filters.addEventListener("change", () => {
  go({ ...Object.fromEntries(new FormData(filters)), skip: "" });
  attempt(showList());
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(showList());
});
for (const [button, pages] of [[previous, -1], [next, 1]]) {
  button.addEventListener("click", () => {
    go({ skip: Number(address().get("skip")) + pages * PAGE_SIZE });
    attempt(showList().then(() => find("#list").scrollIntoView({ block: "start" })));
  });
}
rows.addEventListener("click", ({ target }) => {
  if (!target.value) return;
  go({ ticket: target.value });
  attempt(showPanel());
});
newButton.addEventListener("click", () => {
  go({ ticket: "new" });
  attempt(showPanel());
});
for (const button of document.querySelectorAll(".back")) {
  button.addEventListener("click", () => {
    go({ ticket: "" });
    attempt(showPanel());
  });
}
note.elements.note.addEventListener("input", ({ target }) => {
  if (target.value === (opened.agent_note ?? "")) drafts.delete(opened.id);
  else drafts.set(opened.id, target.value);
  unsaved.hidden = !drafts.has(opened.id);
});
for (const form of [creation, decision, note]) form.addEventListener("submit", send);
pauseButton.addEventListener("click", () => attempt(pauseOrResume()));
window.addEventListener("popstate", () => attempt(showAddress()));

await attempt(start());
poll();
