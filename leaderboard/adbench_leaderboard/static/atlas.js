// The atlas: a test set's data, loaded when it is asked for, and its lists at the rule that a reader chooses.
// What the data says is text, never markup.
"use strict";
(() => {
  const desk = document.getElementById("atlas-desk");
  if (!desk) return;
  const root = desk.dataset.root;
  const sources = new Map([...desk.querySelectorAll("[data-source]")].map((one) => [one.value, one.dataset.source]));
  const SHOWN = 24; // images of a list, as in the page
  const WIDE = 5; // up to so many models have a column each

  // Data of test sets

  const taken = new Map();
  const loading = new Map();

  const load = (code) => {
    if (!loading.has(code)) {
      loading.set(code, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = sources.get(code);
        script.addEventListener("load", () => resolve(taken.get(code)));
        script.addEventListener("error", () => { loading.delete(code); reject(new Error(`${sources.get(code)} did not load`)); });
        document.head.append(script);
      }));
    }
    return loading.get(code);
  };

  // Elements

  const make = (tag, given = {}, ...children) => {
    const { text, ...attributes } = given;
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  };

  // A long name may go on in the next line behind these characters.
  const broken = (name) => name.split(/(?<=[/\\_=@])(?=[^/\\_=@])/).flatMap((part, place) => place ? [make("wbr"), part] : [part]);

  const rate = (value) => value.toFixed(3).replace(/^-(?=0\.000$)/, "").replace("-", "\u2212");
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const scroll = (label, table) => make("div", { class: "scroll", role: "region", "aria-label": label, tabindex: "0" }, table);
  const oracle = (rule) => rule.oracle ? [" ", make("span", { class: "tag oracle", text: "oracle" })] : [];
  const head = (name, given = {}) => make("th", { scope: "col", ...given }, ...broken(name));
  const table = (given, caption, heads, rows) => make("table", given, make("caption", {}, make("span", { class: "line", text: caption })),
    make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));

  const runsOf = (shard) => {
    let first = 0;
    return shard.models.map((model) => model.seeds.map(() => first++));
  };

  // An image's place in each model: the share of images with a lower score, mean over seeds.
  const percentiles = (shard, place) =>
    runsOf(shard).map((runs) => mean(runs.map((run) => (shard.ranks[run][place] - 1) / (2 * shard.images.ids.length))));

  // Addresses of images

  const address = (image, code, list, rule) => {
    const parts = new URLSearchParams({ image, view: code });
    if (list !== "all") parts.set("list", list);
    if (rule) parts.set("rule", rule);
    return `#${parts.toString().replaceAll("+", "%20")}`;
  };

  const linkNames = (part, rule) => {
    for (const name of part.querySelectorAll("[data-image]")) {
      const { view, list } = name.closest("table").dataset;
      const link = make("a", { href: address(name.dataset.image, view, list, rule) }, ...name.childNodes);
      name.replaceChildren(link);
    }
  };

  // The lists at another rule than the one that the page was made with, as its template has them

  const ABOUT = {
    missed: ["Abnormal images that every model misses", "Missed by every model", 1],
    alarms: ["Normal images on which every model raises a false alarm", "False alarms of every model", 2],
    single: ["Images that only one model gets right", "Right by one model", 0],
  };
  const ALIKE = {
    normal: "calls every test image normal",
    abnormal: "calls every test image abnormal",
    split: "its seeds are split evenly on every test image",
  };

  const alike = (shard, rule) => {
    const lists = Object.keys(rule.lists).length;
    const note = make("p", { class: "notice", text: lists
      ? "The lists do not go by "
      : "There are no lists, for at this threshold no model tells one image from another: " });
    rule.uniform.forEach(([model, verdict], place) =>
      note.append(place ? ", " : "", make("b", { text: shard.models[model].name }), ` (${ALIKE[verdict]})`));
    note.append(lists
      ? ". At this threshold such a model says the same of all images, as where the threshold of most of its seeds lies beyond all scores, and so nothing of any one."
      : ".", " What its scores are worth without a threshold, its ROC AUC says.");
    return note;
  };

  const bar = (share) => {
    const draw = (tag, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      return element;
    };
    const svg = draw("svg", { class: "bar place", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
    svg.append(draw("rect", { class: "track", width: 100, height: 6 }), draw("rect", { class: "fill", width: (100 * share).toFixed(1), height: 6 }));
    return svg;
  };

  const row = (shard, place, single, right, wide) => {
    const { ids, labels, kinds, kind, groups, group, facts, fact, pictures } = shard.images;
    const image = ids[place];
    const values = percentiles(shard, place);
    const cells = [];
    if (Object.keys(pictures).length) {
      const cell = make("td");
      if (pictures[place]) cell.append(make("img", { src: root + pictures[place], width: 64, height: 64, alt: `Test image ${image}`, loading: "lazy" }));
      cells.push(cell);
    }
    cells.push(make("th", { scope: "row", "data-image": image }, ...broken(image)));
    const what = make("td", { text: kinds[kind[place]] });
    const more = facts[fact[place]];
    if (more.length) what.append(" ", make("span", { class: "more", text: more.map((pair) => pair.join(" ")).join(", ") }));
    cells.push(what);
    if (shard.grouped) cells.push(make("td", { class: "unit" }, ...broken(groups[group[place]] ?? "\u2013")));
    if (single) cells.push(make("td", { class: "right" }, ...broken(shard.models[right].name)));
    if (wide) values.forEach((value, model) => cells.push(make("td", { class: model === right ? "num one" : "num", text: rate(value) })));
    cells.push(make("td", { class: "num mean", text: rate(mean(values)) }, bar(mean(values))));
    return make("tr", {}, ...cells);
  };

  const list = (shard, code, rule, name) => {
    const { images, models } = rule.lists[name];
    const [title, label, population] = ABOUT[name];
    const single = name === "single";
    const wide = shard.models.length > 1 && shard.models.length <= WIDE;
    const by = rule.uniform.length ? `, by ${shard.models.length - rule.uniform.length} of ${shard.models.length} models` : "";
    const heading = make("h3", { text: `${title}\n` }, make("span", { class: "tally", text: `${images.length} of ${shard.counts[population]}${by}` }));
    if (!images.length) return [heading];
    const shown = images.slice(0, SHOWN);
    const some = shown.length < images.length ? `The ${shown.length} hardest` : shown.length > 1 ? `All ${shown.length}` : "One image";
    const caption = `${some}${shown.length > 1 ? ", hardest first" : ""}; the figures are score percentiles`;
    const heads = [];
    if (Object.keys(shard.images.pictures).length) heads.push(head("Picture"));
    heads.push(head("Image"), head("Kind"));
    if (shard.grouped) heads.push(head("Group"));
    if (single) heads.push(head("Right"));
    if (wide) heads.push(...shard.models.map((model) => head(model.name, { class: "num model" })));
    heads.push(head(shard.models.length > 1 ? "Mean" : "Percentile", { class: "num" }));
    const rows = shown.map((place, at) => row(shard, place, single, models[at], wide));
    return [heading, scroll(`${label}, split ${shard.split}`, table({ class: "hard", "data-view": code, "data-list": name }, caption, heads, rows))];
  };

  const estimate = (found, nothing) => {
    if (!found) return make("td", { class: "num" }, make("span", { class: "none", text: nothing }));
    const [value, low, high] = found;
    const cell = make("td", { class: "num" }, make("span", { class: "value", text: rate(value) }));
    if (low !== undefined) cell.append(" ", make("span", { class: "span", text: `[${rate(low)}, ${rate(high)}]` }));
    return cell;
  };

  const agreement = (shard, rule) => {
    const name = (model) => broken(shard.models[model].name);
    const kappas = (found) => found.map((one) => estimate(one, "not defined"));
    const rows = rule.pairs.map(([one, other, found]) =>
      make("tr", {}, make("th", { scope: "row" }, ...name(one), " and ", ...name(other)), ...kappas(found)));
    if (rule.together) {
      rows.unshift(make("tr", { class: "together" }, make("th", { scope: "row", text: `all ${shard.models.length} together` }), ...kappas(rule.together)));
    }
    const some = rule.pairs.length < rule.pair_count ? `; of ${rule.pair_count} pairs the ${rule.pairs.length} that agree least and most` : "";
    const caption = `Cohen’s kappa of pairs${rule.together ? ", Fleiss’ kappa of all" : ""}, with 95 % intervals${some}`;
    const heads = [head("Models"), ...["All images", "Abnormal", "Normal"].map((one) => head(one, { class: "num" }))];
    return [make("h3", { text: "Are models wrong about the same images?" }),
      scroll(`Agreement of models, split ${shard.split}`, table({ class: "kappa" }, caption, heads, rows))];
  };

  const flips = (shard, rule) => {
    const rows = shard.models.map((model, place) => make("tr", {},
      make("th", { scope: "row" }, make("a", { href: root + model.page }, ...broken(model.name))),
      make("td", { class: "num", text: model.seeds.length }), estimate(rule.flips[place], "\u2013")));
    const heads = [head("Model"), head("Seeds", { class: "num" }), head("Flips", { class: "num" })];
    return [make("h3", { text: "How often do seeds of a model disagree?" }),
      scroll(`Seed flips, split ${shard.split}`,
        table({ class: "flips" }, "Share of test images whose verdict differs between two seeds, with 95 % intervals", heads, rows))];
  };

  const verdicts = (shard, code, rule) => [
    ...(rule.uniform.length ? [alike(shard, rule)] : []),
    ...Object.keys(ABOUT).filter((name) => name in rule.lists).flatMap((name) => list(shard, code, rule, name)),
    ...(rule.pairs.length ? agreement(shard, rule) : []),
    ...flips(shard, rule),
  ];

  // The switch

  const made = new Map(); // by test set, what the page was made with
  const chosen = new Map(); // by test set, the rule if it is another one
  const listeners = [];
  const asked = new Map(); // by test set, how often: the last one counts

  const choose = async (code, name) => {
    const turn = (asked.get(code) ?? 0) + 1;
    asked.set(code, turn);
    const part = document.querySelector(`.verdicts[data-view="${CSS.escape(code)}"]`);
    const shard = await load(code);
    const rule = shard.rules.find((one) => one.name === name) ?? shard.rules[0];
    if (turn !== asked.get(code) || !part || !rule || rule.name === (chosen.get(code) ?? shard.rules[0].name)) return;
    const first = rule === shard.rules[0];
    if (first) chosen.delete(code); else chosen.set(code, rule.name);
    if (first) part.replaceChildren(...made.get(code));
    else {
      part.replaceChildren(...verdicts(shard, code, rule));
      linkNames(part, rule.name);
    }
    part.parentElement.querySelector(".at").replaceChildren("Verdicts at the threshold ", make("strong", { text: rule.title }), ...oracle(rule), ".");
    for (const input of document.getElementsByName(`by-${code}`)) input.checked = input.value === rule.name;
    for (const listen of listeners) listen(code, rule);
  };

  linkNames(document.getElementById("atlas"));
  for (const part of document.querySelectorAll(".verdicts")) made.set(part.dataset.view, [...part.childNodes]);
  for (const by of document.querySelectorAll(".by")) {
    by.hidden = false;
    for (const input of by.querySelectorAll("input")) input.checked = input.defaultChecked; // a browser may remember another
    by.addEventListener("change", (event) => choose(by.dataset.view, event.target.value).catch(() => {
      // The data did not load, and the lists are what they were.
      const kept = chosen.get(by.dataset.view);
      for (const input of by.querySelectorAll("input")) input.checked = kept ? input.value === kept : input.defaultChecked;
      desk.querySelector(".tell").textContent = "The data of the other rules can’t be read.";
    }));
  }

  window.adbenchAtlas = Object.assign((code, shard) => taken.set(code, shard), {
    address, broken, choose, load, make, mean, oracle, plural, rate, runsOf,
    rule: (shard, code) => shard.rules.find((rule) => rule.name === chosen.get(code)) ?? shard.rules[0],
    onRule: (listen) => listeners.push(listen),
  });
})();
