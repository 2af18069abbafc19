// One image in all models. What the data says is text, never markup.
"use strict";
(() => {
  const atlas = window.adbenchAtlas;
  if (!atlas) return;
  const { address, broken, load, make, mean, oracle, plural, rate, runsOf } = atlas;
  const desk = document.getElementById("atlas-desk");
  const { view: viewField, list: listField, words: wordsField } = desk.querySelector("form").elements;
  const tell = desk.querySelector(".tell");
  const say = desk.querySelector(".say");
  const found = desk.querySelector(".found");
  const sheet = desk.querySelector(".sheet");
  const MOST = 200;
  const LISTS = {
    all: "All images",
    missed: "Missed by every model",
    alarms: "False alarms of every model",
    single: "Right by one model only",
  };

  const lists = (shard, code) => atlas.rule(shard, code)?.lists ?? {};
  const members = (shard, code, list) =>
    list === "all" ? shard.images.ids.map((_, place) => place) : lists(shard, code)[list]?.images ?? [];
  // Of the rule that lists go by, if it is another than the page's own.
  const other = (shard, code) => atlas.rule(shard, code) === shard.rules[0] ? "" : atlas.rule(shard, code)?.name ?? "";

  // Addresses

  const asked = () => {
    const parts = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
    if (!parts.has("image")) return null;
    const code = parts.get("view");
    const known = [...viewField.options].some((one) => one.value === code);
    const list = parts.get("list");
    return {
      image: parts.get("image"), code: known ? code : viewField.options[0].value, list: list in LISTS ? list : "all", rule: parts.get("rule") ?? "",
    };
  };

  const draw = (tag, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  // What the data says of an image

  const ruleName = (rule) => `${rule.title}${rule.oracle ? " (oracle)" : ""}`;

  // The rule that the lists go by comes first.
  const rulesOf = (shard, chosen) => [...shard.rules].sort((one, two) => (two === chosen) - (one === chosen));

  const verdict = (shard, rule, runs, place) => {
    const raised = runs.filter((run) => shard.ranks[run][place] > 2 * rule.cuts[run]).length;
    const abnormal = shard.images.labels[place] === 1;
    if (2 * raised === runs.length) return { right: null, word: "split evenly", share: `${raised} of ${runs.length} seeds` };
    const called = 2 * raised > runs.length;
    const word = abnormal ? (called ? "caught" : "missed") : (called ? "false alarm" : "cleared");
    const many = called ? raised : runs.length - raised;
    return { right: called === abnormal, word, share: runs.length > 1 ? `${many} of ${runs.length} seeds` : "" };
  };

  const strip = (places, cut) => {
    const svg = draw("svg", { class: "strip", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
    svg.append(draw("rect", { class: "track", y: 2, width: 100, height: 6 }));
    svg.append(draw("rect", { class: "fill", y: 2, width: (100 * mean(places)).toFixed(2), height: 6 }));
    const line = (kind, at, from, to) => {
      const x = (100 * at).toFixed(2);
      svg.append(draw("line", { class: kind, x1: x, x2: x, y1: from, y2: to }));
    };
    for (const at of places) line("seed", at, 1, 9);
    if (cut !== null) line("cut", cut, 0, 10);
    return svg;
  };

  const row = (shard, chosen, model, runs, place) => {
    const count = shard.images.ids.length;
    const places = runs.map((run) => (shard.ranks[run][place] - 1) / (2 * count));
    const cut = chosen ? mean(runs.map((run) => chosen.cuts[run] / count)) : null;
    const figure = make("span", { class: "line1" }, make("span", { text: rate(mean(places)) }));
    if (Math.max(...places) > Math.min(...places)) {
      figure.append(make("span", { class: "span", text: `seeds ${rate(Math.min(...places))}–${rate(Math.max(...places))}` }));
    }
    const cells = rulesOf(shard, chosen).map((rule) => {
      const { right, word, share } = verdict(shard, rule, runs, place);
      const mark = right === null ? "–" : right ? "✓" : "✗";
      const cell = make("td", { class: right === false ? "rule wrong" : "rule", text: `${mark} ${word}` });
      if (share) cell.append(" ", make("span", { class: "span", text: share }));
      return cell;
    });
    return make("tr", {},
      make("th", { scope: "row" }, make("a", { href: desk.dataset.root + model.page }, ...broken(model.name))),
      make("td", { class: "place" }, figure, strip(places, cut)),
      ...cells);
  };

  const table = (shard, chosen, place) => {
    const head = make("tr", {}, make("th", { scope: "col", text: "Model" }), make("th", { scope: "col", text: "Score percentile" }),
      ...rulesOf(shard, chosen).map((rule) => make("th", { scope: "col", text: rule.title }, ...oracle(rule))));
    const runs = runsOf(shard);
    const body = make("tbody", {}, ...shard.models.map((model, number) => row(shard, chosen, model, runs[number], place)));
    return make("div", { class: "scroll", role: "region", "aria-label": "This image in all models", tabindex: "0" },
      make("table", {}, make("thead", {}, head), body));
  };

  const sum = (shard, rule, place) => {
    if (!rule) return "";
    const verdicts = runsOf(shard).map((runs) => verdict(shard, rule, runs, place));
    const right = verdicts.filter((one) => one.right).length;
    const abnormal = shard.images.labels[place] === 1;
    return `${abnormal ? "Caught" : "Cleared"} by ${right || "none"} of ${plural(verdicts.length, "model")} at ${ruleName(rule)}.`;
  };

  const facts = (shard, place) => {
    const { labels, kinds, kind, groups, group, facts: all, fact } = shard.images;
    const pairs = [["Label", labels[place] === 1 ? "abnormal" : "normal"]];
    if (labels[place] === 1) pairs.push(["Kind", kinds[kind[place]]]);
    const name = groups[group[place]];
    if (name !== null) pairs.push(["Group", name]);
    pairs.push(...all[fact[place]]);
    return make("dl", { class: "who" }, ...pairs.map(([term, text]) => make("div", {}, make("dt", { text: term }), make("dd", { text }))));
  };

  const turn = (shard, place, code, list) => {
    const places = members(shard, code, list);
    const at = places.indexOf(place);
    const rule = other(shard, code);
    const link = (word, to) => to === undefined
      ? make("a", { role: "link", "aria-disabled": "true", text: word })
      : make("a", { href: address(shard.images.ids[to], code, list, rule), text: word });
    const back = link("← previous", places[at - 1]);
    const on = link("next →", places[at + 1]);
    back.dataset.step = "back";
    on.dataset.step = "on";
    const where = make("span", { class: "at", text: `${at + 1} of ${places.length}: ${LISTS[list].toLowerCase()}` });
    return make("nav", { class: "turn", "aria-label": "Images of this list" }, back, on, where, make("a", { class: "away", href: "#atlas", text: "close" }));
  };

  const legend = (shard, rule) => {
    const many = shard.models.some((model) => model.seeds.length > 1);
    const words = ["The bar runs from the image that looks most normal to the model, 0, to the one that looks most abnormal, 1."];
    if (many) words.push("It ends at the mean over seeds; each stroke is a seed.");
    if (rule) words.push(`Right of the dashed line, images are called abnormal at ${ruleName(rule)}${many ? ", mean over seeds" : ""}.`);
    return make("p", { class: "legend", text: words.join(" ") });
  };

  // The two parts of the desk

  let wanted = 0;
  let opening = false;
  let opener;

  const showImage = async (moveFocus) => {
    const turnNumber = ++wanted;
    const target = asked();
    if (!target) {
      // Going to an address inside the page takes the focus from the link that led there.
      const lost = !sheet.hidden && (document.activeElement === document.body || sheet.contains(document.activeElement));
      sheet.hidden = true;
      if (lost) (opener?.isConnected ? opener : wordsField).focus();
      return;
    }
    const step = sheet.contains(document.activeElement) ? document.activeElement.dataset.step : undefined;
    try {
      const shard = await load(target.code);
      if (turnNumber !== wanted) return;
      if (moveFocus) {
        opening = true;
        await atlas.choose(target.code, target.rule).finally(() => { opening = false; });
      }
      if (turnNumber !== wanted) return;
      const rule = atlas.rule(shard, target.code);
      const place = shard.images.ids.indexOf(target.image);
      if (place < 0) {
        sheet.hidden = true;
        tell.textContent = `This test set has no image called ${target.image}.`;
        return;
      }
      const list = members(shard, target.code, target.list).includes(place) ? target.list : "all";
      viewField.value = target.code;
      fillLists(shard, target.code, list);
      const picture = shard.images.pictures[place];
      sheet.replaceChildren(
        make("h4", { id: "sheet-title" }, ...broken(target.image)),
        turn(shard, place, target.code, list),
        ...(picture ? [make("img", { src: desk.dataset.root + picture, width: 128, height: 128, alt: `Test image ${target.image}` })] : []),
        facts(shard, place), make("p", { class: "sum", text: sum(shard, rule, place) }), table(shard, rule, place), legend(shard, rule));
      sheet.hidden = false;
      tell.textContent = "";
      say.textContent = `${target.image}: ${sum(shard, rule, place)}`;
      const again = step && sheet.querySelector(`[data-step="${step}"][href]`);
      if (again) again.focus({ preventScroll: true });
      else if (moveFocus) {
        sheet.focus({ preventScroll: true });
        sheet.scrollIntoView({ block: "nearest" });
      }
    } catch (error) {
      tell.textContent = `The data can’t be read: ${error.message}`;
    }
  };

  const fillLists = (shard, code, chosen) => {
    const kept = chosen ?? listField.value;
    const options = Object.entries(LISTS).filter(([name]) => name === "all" || name in lists(shard, code));
    listField.replaceChildren(...options.map(([name, title]) =>
      make("option", { value: name, text: `${title} (${members(shard, code, name).length})` })));
    listField.value = options.some(([name]) => name === kept) ? kept : "all";
  };

  const search = async () => {
    const code = viewField.value;
    try {
      const shard = await load(code);
      if (viewField.value !== code) return;
      fillLists(shard, code);
      const words = wordsField.value.trim().toLowerCase();
      const places = members(shard, code, listField.value).filter((place) => shard.images.ids[place].toLowerCase().includes(words));
      found.replaceChildren(...places.slice(0, MOST).map((place) => make("li", {},
        make("a", { href: address(shard.images.ids[place], code, listField.value, other(shard, code)) }, ...broken(shard.images.ids[place])))));
      tell.textContent = places.length > MOST
        ? `${plural(places.length, "image")}; the first ${MOST} are listed, more of the name narrows it down.`
        : `${plural(places.length, "image")}.`;
    } catch (error) {
      tell.textContent = `The data can’t be read: ${error.message}`;
    }
  };

  sheet.setAttribute("aria-labelledby", "sheet-title");
  listField.append(make("option", { value: "all", text: LISTS.all }));
  document.getElementById("atlas").addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link && !sheet.contains(link)) opener = link;
  });
  desk.hidden = false;
  desk.querySelector("form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  viewField.addEventListener("change", search);
  listField.addEventListener("change", search);
  wordsField.addEventListener("input", search);
  for (const field of [listField, wordsField]) {
    field.addEventListener("focus", () => load(viewField.value).then((shard) => fillLists(shard, viewField.value)).catch(() => {}), { once: true });
  }
  sheet.addEventListener("keydown", (event) => {
    if (event.key === "Escape") sheet.querySelector(".away").click();
    const step = { ArrowLeft: "back", ArrowRight: "on" }[event.key];
    // A table that is wider than its window scrolls by these keys.
    if (!step || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest(".scroll")) return;
    sheet.querySelector(`[data-step="${step}"][href]`)?.click();
  });
  atlas.onRule(async (code, rule) => {
    if (viewField.value === code && found.children.length) search();
    if (opening) return; // an image at its address, which goes on by itself
    say.textContent = `Lists at ${ruleName(rule)}.`;
    const shard = await load(code);
    if (viewField.value === code && listField.options.length > 1) fillLists(shard, code);
    const target = asked();
    if (!target || sheet.hidden || target.code !== code) return;
    const hash = address(target.image, code, target.list, other(shard, code));
    try { history.replaceState(null, "", hash); } catch { /* the address keeps the rule it had */ }
    showImage(false);
  });
  addEventListener("hashchange", () => showImage(true));
  showImage(true);
})();
