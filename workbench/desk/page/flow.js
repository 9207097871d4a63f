// The step's own picture, the path of a request through it, and the last requests in words.

const REMEMBERED = 6;
const SVG = "http://www.w3.org/2000/svg";

const STATIONS = {
  client: ["client", "this page"],
  main: ["main.py", "all routes"],
  commands: ["commands.py", ""],
  queries: ["queries.py", ""],
  tickets: ["tickets", ""],
  log: ["log", "MongoDB’s own"],
  projector: ["projector.py", ""],
  rows: ["rows", "ticket_reads"],
  counts: ["counts", "dashboard"],
};

// A station has a place along the way, and one or more lanes across it. A strip has its lanes one
// below the other, a phone has them side by side. A leg has: from, to, kind, what it is for.
const PICTURES = {
  1: {
    stations: { client: [1, "1 / 3"], main: [2, "1 / 3"], tickets: [3, "1 / 3"] },
    legs: [
      ["client", "main", "write", "writes"],
      ["main", "tickets", "write", ""],
      ["tickets", "main", "read", ""],
      ["main", "client", "read", "reads"],
    ],
  },
  2: {
    stations: {
      client: [1, "1 / 3"],
      commands: [2, "1"],
      queries: [2, "2"],
      tickets: [3, "1 / 3"],
    },
    legs: [
      ["client", "commands", "write", "writes"],
      ["commands", "tickets", "write", ""],
      ["tickets", "queries", "read", ""],
      ["queries", "client", "read", "reads"],
    ],
  },
  3: {
    stations: {
      client: [1, "1 / 3"],
      commands: [2, "1"],
      queries: [2, "2"],
      tickets: [3, "1"],
      rows: [3, "2"],
    },
    legs: [
      ["client", "commands", "write", "writes"],
      ["commands", "tickets", "write", ""],
      ["commands", "rows", "project", ""],
      ["tickets", "queries", "read", ""],
      ["rows", "queries", "read", ""],
      ["queries", "client", "read", "reads"],
    ],
  },
  4: {
    stations: {
      client: [1, "1 / 4"],
      commands: [2, "1"],
      queries: [2, "2 / 4"],
      tickets: [3, "1"],
      rows: [3, "2"],
      counts: [3, "3"],
      log: [4, "1"],
      projector: [4, "2 / 4"],
    },
    legs: [
      ["client", "commands", "write", "writes"],
      ["commands", "tickets", "write", ""],
      ["tickets", "log", "write", ""],
      ["log", "projector", "project", "follows"],
      ["projector", "rows", "project", ""],
      ["projector", "counts", "project", ""],
      ["rows", "queries", "read", ""],
      ["counts", "queries", "read", ""],
      ["tickets", "queries", "read", ""],
      ["queries", "client", "read", "reads"],
    ],
  },
};

// What a request does in each step, and what the projector does after it.
const STORIES = {
  1: {
    command: "main.py checks the rule and writes the ticket.",
    "GET /tickets": "main.py reads whole tickets, with their messages, to show one line of each.",
    "GET /tickets/…": "main.py reads one ticket.",
    "GET /dashboard": "main.py lets MongoDB look at every ticket, to count them.",
  },
  2: {
    command: "commands.py checks the rule and writes the ticket. No other file writes.",
    "GET /tickets": "queries.py reads whole tickets, with their messages: only the code is split.",
    "GET /tickets/…": "queries.py reads one ticket.",
    "GET /dashboard": "queries.py lets MongoDB look at every ticket, to count them.",
  },
  3: {
    command: "commands.py checks the rule and writes the ticket, and then its row for the list: two writes.",
    "GET /tickets": "queries.py reads rows: what the list shows, without the messages that step 2 reads.",
    "GET /tickets/…": "queries.py reads the ticket itself.",
    "GET /dashboard": "queries.py lets MongoDB look at every row, to count them.",
  },
  4: {
    command:
      "commands.py checks the rule and writes the ticket, and nothing else. MongoDB notes the change in its log.",
    "GET /tickets": "queries.py reads rows: what the list shows. It does not touch the tickets.",
    "GET /tickets/…": "queries.py reads the ticket itself, which is never old.",
    "GET /dashboard": "queries.py reads one document that has all the counts.",
    "projector.py": "The projector read the change in the log, and wrote the row and the counts.",
  },
};

const REFUSALS = {
  404: "There is no such ticket.",
  409: "The rule forbids it: nothing was written.",
  422: "The request was wrong, so MongoDB was not asked.",
  503: "MongoDB was out of reach.",
};

const STORES = { tickets: "tickets", ticket_reads: "rows", dashboard: "counts" };

const picture = document.querySelector("#picture");
const summary = document.querySelector("#lit");
const story = document.querySelector("#story");
const requests = document.querySelector("#requests");
const template = document.querySelector("#request-template");

let step;
let isPaused = false; // the projector
let lit = []; // what the picture shows: a request, and the projection of what it wrote
const drawnLegs = new Map(); // by "from-to": the line, its label, and what it is for

export function showPicture(number) {
  step = number;
  const { stations, legs } = PICTURES[step];
  const drawing = picture.querySelector("svg");
  for (const [name, [along, across]] of Object.entries(stations)) {
    const station = document.createElement("div");
    station.className = "station";
    station.dataset.station = name;
    station.style.setProperty("--along", along);
    station.style.setProperty("--across", across);
    station.dataset.across = across;
    const [label, small] = STATIONS[name];
    station.append(label, toElement("small", small));
    picture.append(station);
  }
  for (const [from, to, kind, purpose] of legs) {
    const line = document.createElementNS(SVG, "path");
    line.setAttribute("class", kind);
    line.setAttribute("pathLength", 1); // so that any length can be drawn bit by bit
    line.setAttribute("marker-end", "url(#head)");
    drawing.append(line);
    const label = document.createElement("span");
    label.className = `label ${kind}`;
    label.dataset.leg = `${from}-${to}`;
    picture.append(label);
    drawnLegs.set(`${from}-${to}`, { line, label, purpose });
  }
  drawLit();
  new ResizeObserver(layOut).observe(picture);
}

// Draws each leg from the edge of one station to the edge of the other, where they are now.
function layOut() {
  const origin = picture.getBoundingClientRect();
  const box = (name) => picture.querySelector(`[data-station=${name}]`).getBoundingClientRect();
  for (const [leg, { line, label }] of drawnLegs) {
    const [a, b] = leg.split("-").map(box);
    const isRead = line.classList.contains("read");
    const [x1, x2] = ends(a.left, a.right, b.left, b.right, isRead);
    const [y1, y2] = ends(a.top, a.bottom, b.top, b.bottom, isRead);
    line.setAttribute("d", `M${x1 - origin.x} ${y1 - origin.y} ${x2 - origin.x} ${y2 - origin.y}`);
    label.classList.toggle("above", y1 === y2);
    label.classList.toggle("upright", x1 === x2);
    label.style.left = `${(x1 + x2) / 2 - origin.x}px`;
    label.style.top = `${(y1 + y2) / 2 - origin.y}px`;
  }
}

// Returns where a leg begins and ends in one dimension. If the two stations overlap in it, the leg
// keeps to one place in the overlap. Else it goes from edge to edge.
function ends(a1, a2, b1, b2, isRead) {
  const start = Math.max(a1, b1);
  const end = Math.min(a2, b2);
  if (start < end) {
    // In step 1 both ways run between the same two stations.
    const share = step > 1 ? 0.5 : isRead ? 0.75 : 0.25;
    const middle = start + (end - start) * share;
    return [middle, middle];
  }
  return a2 <= b1 ? [a2, b1] : [a1, b2];
}

// Shows a request that is sent now. It is in the picture unless it only `accompanies` another.
export function showRequest(method, path, accompanies) {
  const name = `${method} ${path.split("?")[0].replace(/[0-9a-f]{24}/, "…")}`;
  const isQuery = method === "GET";
  const handler = step === 1 ? "main" : isQuery ? "queries" : "commands";
  const answer = "waits for its answer";
  const request = { name, isQuery, handler, answer, commands: [], sent: performance.now() };
  remember(request);
  if (!accompanies) light([request]);
  return request;
}

// Shows the answer to a request, or that there is none. Then asks the X-ray what the request did.
export async function showAnswer(request, response) {
  request.status = response?.status;
  request.took = `${number(Math.round(performance.now() - request.sent))} ms`;
  request.answer = response ? `${request.status} in ${request.took}` : "was not answered";
  write(request);
  if (request.status >= 400 && lit[0] === request) light([request]); // what is refused is not projected
  const traced = response?.headers.get("X-Ray");
  if (!traced) return;
  const xray = await fetch(`/desk/requests/${traced}`);
  if (!xray.ok) return; // it is forgotten already
  request.commands = (await xray.json()).commands;
  write(request);
}

// Shows what the projector has done. If the picture shows a command that wrote, it shows both.
export function showProjection({ commands }) {
  const projection = { name: "projector.py", handler: "projector", answer: "", commands };
  remember(projection);
  const [first] = lit;
  if (first?.isQuery !== false || first.status >= 400) return;
  first.projection = projection;
  first.element.before(projection.element); // the reads above it were sent later
  light([first, projection]);
}

// Shows at the projector's station whether it is paused.
export function showProjector(paused) {
  isPaused = paused;
  const station = picture.querySelector("[data-station=projector]");
  station.classList.toggle("paused", paused);
  station.querySelector("small").textContent = paused ? "paused" : "";
}

function remember(request) {
  request.element = template.content.cloneNode(true).firstElementChild;
  request.element.querySelector("button").addEventListener("click", () => {
    light(request.projection ? [request, request.projection] : [request]);
  });
  requests.prepend(request.element);
  if (requests.children.length > REMEMBERED) requests.lastElementChild.remove();
  write(request);
}

function light(chosen) {
  lit = chosen;
  for (const button of requests.querySelectorAll("button")) {
    button.ariaPressed = lit.some(({ element }) => element.contains(button));
  }
  drawLit();
}

function write(request) {
  const { element, name, answer, commands } = request;
  element.querySelector("[data-field=name]").textContent = name;
  element.querySelector("[data-field=answer]").textContent = answer;
  const lines = commands.map((each) => toElement("li", describe(each)));
  element.querySelector("ul").replaceChildren(...lines);
  if (lit.includes(request)) drawLit();
}

function drawLit() {
  const [first] = lit;
  summary.textContent = first ? `${first.name} ${first.answer}` : "none yet";
  story.textContent = lit.map(tell).join(" ");
  const litLegs = new Map(lit.flatMap((each) => [...legsOf(each)]));
  for (const [leg, { line, label, purpose }] of drawnLegs) {
    const isLit = litLegs.has(leg);
    line.classList.toggle("lit", isLit);
    label.classList.toggle("lit", isLit);
    const texts = isLit ? litLegs.get(leg) : [purpose];
    label.replaceChildren(...texts.map((text) => toElement("span", text)));
  }
  const touched = new Set([...litLegs.keys()].flatMap((leg) => leg.split("-")));
  for (const station of picture.querySelectorAll(".station")) {
    station.classList.toggle("lit", touched.has(station.dataset.station));
  }
}

function tell({ name, isQuery, status }) {
  if (status >= 400) return REFUSALS[status] ?? "";
  if (isQuery !== false) return STORIES[step][name] ?? "";
  const waits = isPaused ? " The projector is paused, so the change waits there." : "";
  return STORIES[step].command + waits;
}

// Returns the legs that a request or a projection has taken, each with its texts.
function legsOf({ isQuery, handler, status, took, commands }) {
  const legs = new Map();
  if (handler !== "projector") {
    const leg = isQuery ? `${handler}-client` : `client-${handler}`;
    legs.set(leg, status ? [status, took] : ["…"]);
  }
  const byLeg = Object.groupBy(commands, ({ command, collection }) => {
    if (command === "getMore") return "log-projector";
    const store = STORES[collection];
    return isQuery ? `${store}-${handler}` : `${handler}-${store}`;
  });
  for (const [leg, those] of Object.entries(byLeg)) legs.set(leg, figuresOnALeg(total(those), isQuery));
  const written = commands.some((each) => each.collection === "tickets" && each.documents_written);
  if (step === 4 && written) legs.set("tickets-log", []);
  return legs;
}

// Returns the figures that have room on a leg.
function figuresOnALeg(figures, isQuery) {
  const texts = [`${figures.milliseconds.toFixed(1)} ms`];
  const back = isQuery === false ? " back" : ""; // since the arrow points away from the reader
  if (figures.bytes_returned) texts.push(kilobytes(figures.bytes_returned) + back);
  if (looksForFew(figures)) texts.push(`looked at ${number(figures.documents_examined)}`);
  return texts;
}

function describe(command) {
  const { documents_returned: returned, documents_written: written, bytes_returned: bytes } = command;
  const texts = [];
  if (looksForFew(command)) {
    texts.push(`looked at ${number(command.documents_examined)} to answer with ${returned}`);
  } else if (returned) {
    texts.push(`${number(returned)} returned`);
  }
  if (written) texts.push(`${number(written)} written`);
  if (bytes) texts.push(kilobytes(bytes));
  texts.push(`${command.milliseconds.toFixed(1)} ms`);
  if (command.command === "getMore") texts.push("most of it waiting for a change");
  return `${command.command} ${command.collection}: ${texts.join(", ")}`;
}

function looksForFew({ documents_examined, documents_returned, documents_written }) {
  return documents_examined > documents_returned + documents_written;
}

function total(commands) {
  const sums = {};
  for (const command of commands) {
    for (const [name, value] of Object.entries(command)) {
      if (typeof value === "number") sums[name] = (sums[name] ?? 0) + value;
    }
  }
  return sums;
}

function kilobytes(bytes) {
  const digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return `${(bytes / 1000).toLocaleString("en", digits)} KB`;
}

function toElement(tag, textContent) {
  return Object.assign(document.createElement(tag), { textContent });
}

function number(count) {
  return count.toLocaleString("en");
}
