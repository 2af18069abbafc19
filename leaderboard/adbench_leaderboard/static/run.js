// Training curves from the page's own tables, in the form in which interactive figures are made. Loaded when a reader asks for them.
"use strict";
(() => {
  const number = (text) => Number(text.replace("\u2212", "-").replace("e\u2212", "e-"));
  const points = [];
  const order = [];
  for (const table of document.querySelectorAll("#curves table[data-phase]")) {
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) {
      const [epoch, ...values] = [...row.cells].map((cell) => number(cell.textContent));
      values.forEach((value, place) => {
        if (Number.isFinite(value)) {
          const curve = `${table.dataset.phase}: ${names[place + 1]}`;
          if (!order.includes(curve)) order.push(curve);
          points.push({ curve, order: order.indexOf(curve), epoch, value });
        }
      });
    }
  }

  const quiet = "var(--quiet)";
  const axis = { labelColor: quiet, titleColor: "currentColor", domainColor: quiet, tickColor: quiet, gridColor: "var(--line)" };
  window.adbenchFigures = {
    ...window.adbenchFigures,
    curves: {
      data: { values: points },
      facet: { field: "curve", type: "nominal", title: null, sort: { field: "order", op: "min" } },
      columns: Math.max(1, Math.min(3, Math.floor(document.getElementById("curves").clientWidth / 290))),
      spec: {
        width: 230,
        height: 130,
        mark: { type: "line", color: "var(--series-1)", point: { size: 12, color: "var(--series-1)" } },
        encoding: {
          x: { field: "epoch", type: "quantitative", title: "epoch", axis: { format: "d", tickMinStep: 1, tickCount: 5 } },
          y: { field: "value", type: "quantitative", title: null, scale: { zero: false } },
          tooltip: [{ field: "curve" }, { field: "epoch" }, { field: "value" }],
        },
      },
      resolve: { scale: { x: "independent", y: "independent" } },
      config: { background: null, view: { stroke: null }, axis, header: { labelColor: "currentColor" } },
    },
  };
})();
