// Makes figures interactive when a reader asks for it: the library and the data are loaded then, and only then.
"use strict";
(() => {
  const loaded = new Map();

  const load = (source) => {
    if (!loaded.has(source)) {
      loaded.set(source, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = source;
        script.addEventListener("load", resolve);
        script.addEventListener("error", () => reject(new Error(`${source} did not load`)));
        document.head.append(script);
      }));
    }
    return loaded.get(source);
  };

  // Words of plugins are text here too.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;

  const showTip = (handler, event, item, value) => {
    if (value === null || value === undefined || value === "") {
      tip.hidden = true;
      return;
    }
    tip.textContent = typeof value === "object"
      ? Object.entries(value).map(([name, part]) => `${name}: ${part}`).join("\n")
      : String(value);
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 4))}px`;
    tip.style.top = `${event.clientY + 14 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 14}px`;
  };

  const explore = async (button) => {
    const figure = document.getElementById(button.dataset.interactive);
    const drawn = figure.querySelector(".drawn");
    button.disabled = true;
    try {
      await Promise.all([load(button.dataset.vega), load(button.dataset.figures)]);
      const live = document.createElement("div");
      live.className = "live";
      live.setAttribute("role", "img");
      live.setAttribute("aria-label", [...drawn.querySelectorAll(":scope > title, :scope > desc")].map((part) => part.textContent).join(". "));
      // The interpreter needs no eval, which the site's policy forbids; menus and styles of the library would break it too.
      await window.vegaEmbed(live, structuredClone(window.adbenchFigures[figure.id]), {
        actions: false, ast: true, defaultStyle: false, logLevel: 1, mode: "vega-lite", renderer: "svg", tooltip: showTip,
      });
      document.body.append(tip);
      drawn.after(live);
      drawn.remove();
      live.addEventListener("mouseleave", () => { tip.hidden = true; });
      button.hidden = true;
      live.closest(".scroll").focus({ preventScroll: true });
    } catch (error) {
      button.disabled = false;
      button.textContent = `Explore (failed: ${error.message})`;
    }
  };

  for (const button of document.querySelectorAll("[data-interactive]")) {
    button.hidden = false;
    button.addEventListener("click", () => explore(button));
  }
})();
