/* SQL over the site's own scores: DuckDB in a worker, started when the reader asks for it. */
(function () {
  "use strict";

  const SHOWN = 1000; // rows of a result in the page
  const KEPT = 100000; // rows of a result at most
  const ENGINE = "engine/";
  const HASH = "#sql=";
  // Nothing is read or loaded from elsewhere, whatever a query says.
  const CLOSED = [
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set enable_external_access = false",
    "set lock_configuration = true",
  ];

  const part = (id) => document.getElementById(id);
  const query = part("query");
  let worker = null;
  let connection = null;
  let result = null;
  let running = 0; // number of the query that runs; what an older one brings is of no use

  function tell(text) {
    part("status").textContent = text;
  }

  /* Control characters spelt out, among them those that turn the direction of what follows. */
  function printable(text) {
    return text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, (found) =>
      "\n\t\u200c\u200d".includes(found) ? found : "\\u" + found.codePointAt(0).toString(16).padStart(4, "0"));
  }

  async function bytes(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
    const packed = new Uint8Array(await answer.arrayBuffer());
    // A server may have unpacked it on the way.
    if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed;
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  }

  function script(address) {
    return new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = address;
      tag.onload = resolve;
      tag.onerror = () => reject(new Error(`${address} can't be loaded`));
      document.head.append(tag);
    });
  }

  /* The library is written for CommonJS: it asks for one module and leaves its own in module.exports. */
  async function library() {
    if (!window.duckdb) {
      await script(ENGINE + "arrow.js");
      window.module = { exports: {} };
      window.require = () => window.Arrow;
      await script(ENGINE + "duckdb.js");
      window.duckdb = window.module.exports;
      delete window.module;
      delete window.require;
    }
    return window.duckdb;
  }

  async function start() {
    const duckdb = await library();
    const module = URL.createObjectURL(new Blob([await bytes(ENGINE + "duckdb.wasm.gz")], { type: "application/wasm" }));
    worker = new Worker(ENGINE + "duckdb-worker.js");
    const failed = new Promise((_, reject) => {
      worker.addEventListener("error", () => reject(new Error("the worker can't be started")));
    });
    const database = new duckdb.AsyncDuckDB(new duckdb.VoidLogger(), worker);
    await Promise.race([database.instantiate(module), failed]);
    URL.revokeObjectURL(module);
    await database.open({ query: { castDecimalToDouble: true } });
    return database.connect();
  }

  async function fill(opened) {
    const made = new Set();
    for (const file of part("files").querySelectorAll("a")) {
      const name = file.dataset.table;
      tell(`Loading the table ${name} …`);
      await opened.insertArrowFromIPCStream(await bytes(file.href), { name, create: !made.has(name) });
      made.add(name);
    }
    for (const setting of CLOSED) await opened.query(setting);
  }

  async function load() {
    part("load").disabled = true;
    tell("Loading the engine …");
    const begun = performance.now();
    try {
      const opened = await start();
      await fill(opened);
      connection = opened;
    } catch (problem) {
      stopWorker();
      part("load").disabled = false;
      tell(`The database could not be loaded: ${problem.message || problem}`);
      return;
    }
    tell(`Ready after ${seconds(begun)}.`);
    part("load").hidden = true;
    part("run").hidden = false;
    edit();
  }

  function stopWorker() {
    if (worker) worker.terminate();
    worker = null;
    connection = null;
  }

  function seconds(begun) {
    return `${((performance.now() - begun) / 1000).toFixed(2)} s`;
  }

  /* The rows of a query, up to KEPT of them. */
  async function ask(sql) {
    const reader = await connection.send(sql);
    await reader.open();
    const found = { fields: reader.schema.fields, batches: [], rows: 0, more: false };
    for await (const batch of reader) {
      found.batches.push(batch);
      found.rows += batch.numRows;
      if (found.rows > KEPT) {
        found.more = true;
        found.rows = KEPT;
        await connection.cancelSent();
        break;
      }
    }
    return found;
  }

  function* rows(found, most) {
    let left = Math.min(most, found.rows);
    for (const batch of found.batches) {
      const columns = found.fields.map((_, place) => batch.getChildAt(place));
      for (let row = 0; row < batch.numRows && left > 0; row += 1, left -= 1) {
        yield columns.map((column) => column.get(row));
      }
    }
  }

  function text(value, field) {
    if (value === null || value === undefined) return "";
    if (window.Arrow.DataType.isDate(field.type)) return new Date(Number(value)).toISOString().slice(0, 10);
    if (window.Arrow.DataType.isTimestamp(field.type)) return new Date(Number(value)).toISOString();
    return String(value);
  }

  function isNumber(field) {
    return window.Arrow.DataType.isInt(field.type) || window.Arrow.DataType.isFloat(field.type);
  }

  function cell(value, field) {
    const made = document.createElement("td");
    if (value === null || value === undefined) {
      made.className = "null";
      made.textContent = "null";
    } else if (typeof value === "number" && !Number.isInteger(value)) {
      made.textContent = String(Number(value.toPrecision(6)));
      made.title = String(value);
    } else {
      made.textContent = printable(text(value, field));
    }
    if (isNumber(field)) made.classList.add("num");
    return made;
  }

  function table(found) {
    const made = document.createElement("table");
    const head = made.createTHead().insertRow();
    for (const field of found.fields) {
      const name = document.createElement("th");
      name.scope = "col";
      name.textContent = printable(field.name);
      if (isNumber(field)) name.className = "num";
      head.append(name);
    }
    const body = made.createTBody();
    for (const row of rows(found, SHOWN)) {
      body.insertRow().append(...row.map((value, place) => cell(value, found.fields[place])));
    }
    return made;
  }

  function words(found, begun) {
    const count = (number) => number.toLocaleString("en");
    const all = found.more ? `more than ${count(KEPT)} rows` : `${count(found.rows)} ${found.rows === 1 ? "row" : "rows"}`;
    const shown = found.rows > SHOWN ? `, the first ${count(SHOWN)} of them below` : "";
    const kept = found.more ? `; the CSV has the first ${count(KEPT)}` : "";
    return `${all}${shown}${kept}, in ${seconds(begun)}. Numbers are rounded to six digits; the CSV has all.`;
  }

  function show(found, begun) {
    result = found;
    part("told").textContent = words(found, begun);
    part("rows").replaceChildren(table(found));
    part("csv").hidden = false;
    part("result").scrollIntoView({ block: "nearest" });
    tell("Done.");
  }

  async function run() {
    const sql = query.value.trim();
    if (!connection || running || !sql) return;
    address();
    const begun = performance.now();
    const number = begun;
    running = number;
    working(true);
    try {
      const found = await ask(sql);
      if (running === number) show(found, begun);
    } catch (problem) {
      if (running === number) {
        part("error").textContent = printable(complaint(String(problem.message || problem)));
        part("error").hidden = false;
        tell("The query failed.");
      }
    }
    if (running === number) working(false);
  }

  /* DuckDB says what is wrong in words, or in JSON that holds them. */
  function complaint(message) {
    try {
      const said = JSON.parse(message);
      return `${said.exception_type} Error: ${said.exception_message}`;
    } catch {
      return message;
    }
  }

  function working(busy) {
    if (!busy) running = 0;
    part("run").disabled = busy;
    part("stop").hidden = !busy;
    if (!busy) return;
    result = null;
    part("result").hidden = false;
    part("error").hidden = true;
    part("csv").hidden = true;
    part("told").textContent = "";
    part("rows").replaceChildren();
    tell("Running …");
  }

  /* A query can't be interrupted from outside its thread, so the thread ends with it. */
  function stop() {
    stopWorker();
    working(false);
    part("run").hidden = true;
    part("load").hidden = false;
    part("load").disabled = false;
    tell("Stopped. Load the database again to go on; the browser has kept its files.");
    part("load").focus();
  }

  function address() {
    try {
      history.replaceState(null, "", HASH + encodeURIComponent(query.value.trim()));
      return true;
    } catch {
      return false; // half a character can't be part of an address
    }
  }

  async function copyLink() {
    if (!address()) {
      tell("The query has characters that no link can hold.");
      return;
    }
    try {
      await navigator.clipboard.writeText(location.href);
      tell("The link is copied.");
    } catch {
      tell("The link is in the address bar; this browser lets no page copy it.");
    }
  }

  function fromAddress() {
    if (!location.hash.startsWith(HASH)) return false;
    try {
      query.value = decodeURIComponent(location.hash.slice(HASH.length));
    } catch {
      tell("The query of this link is damaged.");
      return false;
    }
    tell("The link brought a query. Read it before you run it.");
    return true;
  }

  /* Text that a spreadsheet would take for a formula is marked as text. */
  function csvCell(value, field) {
    let word = text(value, field);
    if (!isNumber(field) && /^[=+\-@\t\r\n]/.test(word)) word = "'" + word;
    return /[",\r\n]/.test(word) ? `"${word.replaceAll('"', '""')}"` : word;
  }

  function download() {
    if (!result) return;
    const found = result;
    const named = found.fields.map((field) => ({ type: new window.Arrow.Utf8(), name: field.name }));
    const lines = [named.map((field) => csvCell(field.name, field)).join(",")];
    for (const row of rows(found, KEPT)) lines.push(row.map((value, place) => csvCell(value, found.fields[place])).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([lines.join("\r\n") + "\r\n"], { type: "text/csv" }));
    link.download = "adbench-query.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  /* To the editor, which shows how the query begins. */
  function edit() {
    query.setSelectionRange(0, 0);
    query.scrollTop = 0;
    query.focus({ preventScroll: true });
  }

  function take(example) {
    query.value = example.querySelector("code").textContent;
    edit();
    query.scrollIntoView({ block: "center" });
  }

  const served = location.protocol !== "file:";
  part(served ? "ask" : "from-file").hidden = false;
  if (!fromAddress()) query.value = document.querySelector(".example code").textContent;
  window.addEventListener("hashchange", fromAddress);
  part("load").addEventListener("click", load);
  part("run").addEventListener("click", run);
  part("stop").addEventListener("click", stop);
  part("link").addEventListener("click", copyLink);
  part("csv").addEventListener("click", download);
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  });
  for (const example of document.querySelectorAll(".example")) {
    const button = example.querySelector("button");
    button.hidden = !served;
    button.addEventListener("click", () => take(example));
  }
})();
