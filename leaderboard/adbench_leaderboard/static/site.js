// Adds to pages that are whole without it: sorting, filters, the remembered rule, and what one can take along.
// Words of plugins go through textContent alone.
"use strict";
(() => {
  const status = document.createElement("p");
  status.className = "status";
  status.setAttribute("role", "status");
  let fading = 0;
  const say = (words) => {
    status.textContent = words;
    clearTimeout(fading);
    fading = setTimeout(() => { status.textContent = ""; }, 6000);
  };

  const words = (cell) => {
    let found = "";
    for (const node of cell.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) found += node.data;
      else if (node.nodeType === Node.ELEMENT_NODE && !node.hidden && !node.matches(".sort-only, wbr")) found += ` ${words(node)} `;
    }
    return found.replace(/[\s\u202f]+/g, " ").trim();
  };
  const shown = (part) => !part.hidden && getComputedStyle(part).display !== "none";

  // --- Take along -------------------------------------------------------------------------------------------------------------

  const byHand = (text) => {
    // navigator.clipboard is missing where a page does not come by https.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "skip";
    area.setAttribute("aria-hidden", "true");
    document.body.append(area);
    area.select();
    let done = false;
    try { done = document.execCommand("copy"); } catch { done = false; }
    area.remove();
    return done;
  };
  const copy = async (text, what) => {
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch { done = byHand(text); }
    say(done ? `${what} copied` : "This browser lets no page copy; select the text and copy it by hand");
  };

  // What a spreadsheet would run. Behind a sign only figures may stand: 1 can be followed by the rest of a formula.
  const FORMULA = /^[=@\t\r\n]|^[-+\u2212](?![\d.\u221e]*(?: \[[\d., \u2212-]*\])?$)/;
  // A cell of several columns or rows stands in the first one; the others are empty, as a spreadsheet has it.
  const tabs = (table) => {
    const lines = [];
    const below = [];
    for (const row of [...table.rows].filter((one) => shown(one) && shown(one.parentElement))) {
      const line = [];
      let column = 0;
      const skip = () => { while (below[column] > 0) { below[column] -= 1; line.push(""); column += 1; } };
      for (const cell of [...row.cells].filter(shown)) {
        skip();
        for (let part = 0; part < cell.colSpan; part += 1) {
          const text = part ? "" : words(cell);
          line.push(FORMULA.test(text) ? `'${text}` : text);
          below[column] = cell.rowSpan - 1;
          column += 1;
        }
      }
      skip();
      lines.push(line.join("\t"));
    }
    return lines.join("\n");
  };

  // An image of its own: what the page's style sheets say stands in it, and the page's ground behind it, as its words have the
  // colour for that.
  const LOOKS = ["color", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor"];
  const standalone = (drawn) => {
    const twin = drawn.cloneNode(true);
    const parts = [drawn, ...drawn.querySelectorAll("*")];
    [twin, ...twin.querySelectorAll("*")].forEach((part, place) => {
      const style = getComputedStyle(parts[place]);
      const above = place ? getComputedStyle(parts[place].parentElement) : null;
      for (const name of LOOKS) {
        const value = style.getPropertyValue(name);
        if (!above || part.hasAttribute(name) || value !== above.getPropertyValue(name)) part.setAttribute(name, value);
      }
      if (style.opacity !== "1") part.setAttribute("opacity", style.opacity);
      part.removeAttribute("class");
      part.removeAttribute("style");
    });
    const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const [x, y, width, height] = (twin.getAttribute("viewBox") || "").split(/[\s,]+/);
    const box = height ? { x, y, width, height } : { width: "100%", height: "100%" };
    for (const [name, value] of Object.entries(box)) ground.setAttribute(name, value);
    ground.setAttribute("fill", getComputedStyle(document.documentElement).backgroundColor);
    ground.setAttribute("stroke", "none");
    twin.prepend(ground);
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(twin)}\n`;
  };
  const download = (text, type, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const ACTIONS = {
    copyText: (target) => copy(target.textContent.trim(), "Text"),
    copyTable: (target) => copy(tabs(target), "Table"),
    copyLink: (target) => copy(`${location.href.split("#")[0]}#${encodeURIComponent(target.id)}`, "Link"),
    downloadSvg: (target) => {
      const drawn = target.matches("svg") ? target : target.querySelector("svg");
      if (drawn) download(standalone(drawn), "image/svg+xml", `${target.id}.svg`);
    },
  };
  for (const [name, act] of Object.entries(ACTIONS)) {
    const attribute = `data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    for (const button of document.querySelectorAll(`[${attribute}]`)) {
      const target = document.getElementById(button.dataset[name]);
      if (!target) continue;
      button.hidden = false;
      button.addEventListener("click", () => act(target));
    }
  }

  // --- What the address remembers: rule, filters, order -------------------------------------------------------------------------

  const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const remember = (name, value) => {
    if (value) state.set(name, value); else state.delete(name);
    const hash = state.toString();
    try { history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search); } catch { if (hash) location.hash = hash; }
  };

  // An address with another state, opened where this one is: begin anew. On other pages what stands there is another script's.
  if (document.querySelector(".ruled")) addEventListener("hashchange", () => {
    if (location.hash.includes("=") && new URLSearchParams(location.hash.slice(1)).toString() !== state.toString()) location.reload();
  });

  // --- Sorting ------------------------------------------------------------------------------------------------------------------

  const cellAt = (row, column) => {
    let at = 0;
    for (const cell of row.cells) {
      at += cell.colSpan;
      if (column < at) return cell;
    }
    return null;
  };
  const figure = (cell) => {
    const found = /^[^\d\u2212-]*([\u2212-]?\d[\d\u202f]*(?:\.\d+)?)/.exec(cell ? cell.textContent.trim() : "");
    return found && !cell.classList.contains("missing") ? Number(found[1].replace(/\u202f/g, "").replace("\u2212", "-")) : NaN;
  };
  // Their order on the page, noted when they leave it first: nothing is read of a large table while the page loads.
  const placed = new WeakSet();
  const ranked = (body) => [...body.rows].filter((row) => !row.matches(".head, .trivial"));
  const note = (table) => {
    if (placed.has(table)) return;
    placed.add(table);
    for (const body of table.tBodies) {
      ranked(body).forEach((row, place) => { row.dataset.place = place; });
    }
  };
  const sort = (head, direction) => {
    const table = head.closest("table");
    note(table);
    const column = Number(head.dataset.sort);
    const text = head.dataset.as === "text";
    for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
    if (direction) head.setAttribute("aria-sort", direction);
    const sign = direction === "descending" ? -1 : 1;
    for (const body of [...table.tBodies].filter(shown)) { // the others when they are
      const rows = [...body.rows].filter((row) => row.dataset.place);
      const key = new Map(rows.map((row) => [row, text ? words(cellAt(row, column)) : figure(cellAt(row, column))]));
      rows.sort((one, other) => {
        const byPlace = one.dataset.place - other.dataset.place;
        if (!direction) return byPlace;
        const [first, second] = [key.get(one), key.get(other)];
        if (text) return sign * first.localeCompare(second) || byPlace;
        if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second) || byPlace; // missing last
        return sign * (first - second) || byPlace;
      });
      body.append(...[...body.rows].filter((row) => row.matches(".head")), ...rows, ...[...body.rows].filter((row) => row.matches(".trivial")));
    }
  };
  const turn = (head) => {
    const now = head.getAttribute("aria-sort");
    const order = head.dataset.as === "text" ? ["ascending", "descending", null] : ["descending", "ascending", null];
    const next = order[(order.indexOf(now) + 1) % 3];
    sort(head, next);
    remember("sort", next ? `${head.closest("table").id} ${head.dataset.sort} ${next}` : "");
    say(next ? `Sorted by ${head.dataset.name}, ${next}; missing last` : "In the first order again");
  };
  for (const head of document.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    head.dataset.name = words(head);
    if (head.querySelector("a")) {
      button.classList.add("sort-only");
      button.setAttribute("aria-label", `Sort by ${head.dataset.name}`);
    } else button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => turn(head));
  }

  // --- Filters ------------------------------------------------------------------------------------------------------------------

  const filters = document.getElementById("filters");
  const form = filters && filters.querySelector("form");
  const chosen = (name) => (form && form.elements[name] ? form.elements[name].value : "");
  const wanted = (part, names) => names.every((name) => !chosen(name) || part.dataset[name] === chosen(name));

  const hide = (part, away) => { if (part.hidden !== away) part.hidden = away; };
  const filter = () => {
    const models = [new Set(), new Set()];
    const datasets = [new Set(), new Set()];
    for (const section of document.querySelectorAll(".ruled")) section.hidden = !wanted(section, ["protocol"]);
    for (const table of document.querySelectorAll("table[data-filtered]")) {
      const away = table.closest(".ruled[hidden]");
      const columns = []; // whether each column is shown
      for (const head of table.tHead.rows[0].cells) {
        const show = !head.dataset.dataset || wanted(head, ["modality", "organ"]);
        head.hidden = !show;
        for (let part = 0; part < head.colSpan; part += 1) columns.push(show);
        if (head.dataset.dataset) {
          datasets[1].add(head.dataset.dataset);
          if (show && !away) datasets[0].add(head.dataset.dataset);
        }
      }
      // The second row of heads begins after the first column.
      for (const row of [...table.tHead.rows].slice(1)) [...row.cells].forEach((cell, place) => hide(cell, !columns[place + 1]));
      for (const body of table.tBodies) {
        for (const row of body.rows) {
          if (row.dataset.family !== undefined) {
            hide(row, !wanted(row, ["family"]));
            if (body === table.tBodies[0]) models[1].add(words(row.cells[0]));
            if (body === table.tBodies[0] && !row.hidden && !away) models[0].add(words(row.cells[0]));
          }
          if (row.classList.contains("head")) continue;
          let at = 0;
          for (const cell of row.cells) {
            hide(cell, !columns[at]);
            at += cell.colSpan;
          }
        }
      }
    }
    filters.querySelector(".shown").textContent =
      `${models[0].size} of ${models[1].size} models on ${datasets[0].size} of ${datasets[1].size} datasets`;
  };
  if (form) {
    filters.hidden = false;
    filters.open = matchMedia("(min-width: 40rem)").matches;
    let narrowed = false;
    for (const choice of form.querySelectorAll("select")) {
      const value = state.get(choice.name);
      if ([...choice.options].some((option) => option.value === value)) { choice.value = value; narrowed ||= value !== ""; }
      choice.addEventListener("change", () => { remember(choice.name, choice.value); filter(); });
    }
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      for (const choice of form.querySelectorAll("select")) remember(choice.name, "");
      filter();
    }));
    if (narrowed) { // else the page is as it came, and says so itself
      filters.open = true;
      filter();
    }
  }

  // --- Rules but the first ------------------------------------------------------------------------------------------------------

  // Their bodies, read when one is chosen: a noscript is one piece of text until then. They lack what no rule changes, so each
  // becomes a copy of the first body, in its order and without what is filtered away, with other rates.
  const rates = (row) => [...row.cells].filter((cell) => cell.matches('[class^="s"], [class^="p"], .none:not(.auc)'));
  const unfold = (ruled) => {
    const kept = ruled.querySelector(":scope > noscript");
    if (!kept) return;
    const table = ruled.querySelector(".figures-board");
    const others = new DOMParser().parseFromString(kept.textContent, "text/html").querySelectorAll("tbody");
    kept.remove();
    note(table);
    for (const other of others) {
      const body = table.tBodies[0].cloneNode(true);
      body.className = other.className;
      body.querySelector(".head span").replaceWith(other.querySelector(".head span"));
      const rows = [...ranked(body).sort((one, next) => one.dataset.place - next.dataset.place), ...body.querySelectorAll(".trivial")];
      [...ranked(other), ...other.querySelectorAll(".trivial")].forEach((row, place) => {
        const own = rates(rows[place]);
        rates(row).forEach((cell, at) => { hide(cell, own[at].hidden); own[at].replaceWith(cell); });
      });
      table.append(body);
    }
  };

  // --- Rule and order of the address --------------------------------------------------------------------------------------------

  const rules = [...document.querySelectorAll(".rules input")];
  for (const input of rules) {
    if (state.has("rule")) input.checked = input.value === state.get("rule") || input.checked;
    input.addEventListener("change", () => {
      remember("rule", input.value);
      unfold(input.closest(".ruled"));
      for (const head of input.closest(".ruled").querySelectorAll("[aria-sort]")) sort(head, head.getAttribute("aria-sort"));
    });
  }
  // A browser that goes back to a page checks what was checked, and says nothing of it.
  const unfoldChosen = () => {
    for (const input of rules) if (input.checked && !input.matches(".pick-1")) unfold(input.closest(".ruled"));
  };
  unfoldChosen();
  addEventListener("pageshow", unfoldChosen);
  const [id, column, direction] = (state.get("sort") || "").split(" ");
  const table = id && document.getElementById(id);
  const head = table && [...table.querySelectorAll("th[data-sort]")].find((one) => one.dataset.sort === column);
  if (head && /^(a|de)scending$/.test(direction)) sort(head, direction);

  document.body.append(status);
})();
