// The scorecard's filters and order, Plotly figures that load when they come into view and follow the theme, print, and a mend of
// the theme.
(() => {
  "use strict";

  function filters(card) {
    const selects = [...card.querySelectorAll("select")];
    const rows = [...card.querySelectorAll("tbody tr")];
    const count = card.querySelector(".ic-count");
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        const fits = selects.every((s) => !s.value || row.dataset[s.dataset.filter] === s.value);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = `${shown} rows`;
    };
    selects.forEach((s) => s.addEventListener("change", apply));
    // A link from another page can ask for some rows: scorecard.html?paper=...&verdict=...
    const asked = new URLSearchParams(location.search);
    for (const select of selects) {
      const value = asked.get(select.dataset.filter);
      if ([...select.options].some((option) => option.value === value)) select.value = value;
    }
    // A browser restores the choice of a reloaded page without an event.
    apply();
  }

  const VERDICTS = ["reproduced", "partly", "not reproduced", "not tested here"];

  // What a column is sorted by: numbers as numbers, verdicts from good to bad, names such as TEL-10 after TEL-9.
  function key(row, column) {
    if (column === "Here") return row.dataset.value === undefined ? Infinity : Number(row.dataset.value);
    if (column === "Verdict") return VERDICTS.indexOf(row.dataset.verdict);
    return [...row.cells].find((cell) => (cell.dataset.label ?? "Claim") === column).textContent;
  }

  function sorting(card) {
    const body = card.querySelector("tbody");
    const rows = [...body.rows];
    for (const head of card.querySelectorAll("thead th")) {
      const column = head.textContent;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "ic-sort";
      button.textContent = column;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        card.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const found = rows.map((row) => [key(row, column), row]);
        found.sort(([a], [b]) => {
          // Rows without a number stay at the end, whichever way.
          if (a === Infinity || b === Infinity) return a === b ? 0 : a === Infinity ? 1 : -1;
          const order = typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
          return down ? -order : order;
        });
        body.append(...found.map(([, row]) => row));
      });
    }
  }

  let library;
  function plotly() {
    library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${document.documentElement.dataset.content_root}_static/plotly.min.js`;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("Plotly did not load"));
      document.head.append(script);
    });
    return library;
  }

  function themed() {
    const style = getComputedStyle(document.body);
    const text = style.getPropertyValue("--pst-color-text-base").trim();
    const line = style.getPropertyValue("--pst-color-border").trim();
    const axis = { gridcolor: line, zerolinecolor: line, linecolor: line };
    return { text, axis };
  }

  function layout(given, width) {
    const { text, axis } = themed();
    const result = { ...given, template: undefined, updatemenus: undefined, font: { ...given.font, color: text } };
    if (width < 500) result.legend = { ...given.legend, orientation: "h", y: 1.15 };
    for (const name of new Set(["xaxis", "yaxis", ...Object.keys(given).filter((k) => /^[xy]axis/.test(k))])) {
      result[name] = { ...given[name], ...axis };
    }
    return result;
  }

  // The menus above a drawing, which staging made from Plotly's own.
  function menus(box, given, Plotly) {
    const selects = [...box.parentElement.querySelectorAll("select.ic-menu")];
    (given.updatemenus ?? []).forEach((menu, i) => {
      const apply = () => {
        const { method, args } = menu.buttons[selects[i].selectedIndex];
        return Plotly[method](box, ...args);
      };
      selects[i].addEventListener("change", apply);
      // Chosen before the figure was drawn.
      if (selects[i].selectedIndex !== (menu.active ?? 0)) apply();
    });
  }

  async function draw(box) {
    if (box.dataset.drawn) return;
    box.dataset.drawn = "begun";
    const figure = JSON.parse(box.querySelector("script").textContent);
    const Plotly = await plotly();
    const options = { responsive: true, displaylogo: false };
    await Plotly.newPlot(box, figure.data, layout(figure.layout, box.clientWidth), options);
    menus(box, figure.layout, Plotly);
    // Plotly adds buttons: the box is no single picture any more, and its drawing says no more than its label.
    box.setAttribute("role", "group");
    box.querySelectorAll(".main-svg").forEach((svg) => svg.setAttribute("aria-hidden", "true"));
    box.dataset.drawn = "yes";
    new MutationObserver(() => Plotly.relayout(box, layout(figure.layout, box.clientWidth))).observe(document.documentElement, {
      attributeFilter: ["data-theme"],
    });
  }

  // On paper there is no scrolling: all figures are drawn, as wide as a page, and in the light colours.
  const PAPER = 660;
  let before;

  // A browser does not wait with printing: what loads later comes too late. From a web server the library can be had at once; of a
  // page opened as a file the figures that were never in view are there when it is printed again.
  function plotlyAtOnce() {
    if (library || !location.protocol.startsWith("http")) return;
    const request = new XMLHttpRequest();
    request.open("GET", `${document.documentElement.dataset.content_root}_static/plotly.min.js`, false);
    request.send();
    if (request.status !== 200) return;
    const script = document.createElement("script");
    script.textContent = request.responseText;
    document.head.append(script);
    library = Promise.resolve(window.Plotly);
  }

  function printing() {
    if (before) return;
    const page = document.documentElement.dataset;
    before = { theme: page.theme };
    if (page.theme !== "light") page.theme = "light";
    const boxes = [...document.querySelectorAll(".ic-plotly")];
    const fit = (box) => {
      // The whole book has pictures in the place of what WebGL draws.
      if (before && box.querySelector(".main-svg") && box.clientWidth > PAPER) window.Plotly.relayout(box, { width: PAPER });
    };
    if (boxes.some((box) => !box.dataset.drawn)) plotlyAtOnce();
    for (const box of boxes) {
      if (box.dataset.drawn) fit(box);
      else draw(box).then(() => fit(box));
    }
  }

  function printed() {
    if (!before) return;
    if (document.documentElement.dataset.theme !== before.theme) document.documentElement.dataset.theme = before.theme;
    before = undefined;
    for (const box of document.querySelectorAll(".ic-plotly")) {
      if (box.querySelector(".main-svg")) window.Plotly.relayout(box, { width: null, autosize: true });
    }
  }

  window.addEventListener("beforeprint", printing);
  window.addEventListener("afterprint", printed);
  matchMedia("print").addEventListener("change", ({ matches }) => (matches ? printing() : printed()));

  document.addEventListener("DOMContentLoaded", () => {
    for (const card of document.querySelectorAll(".ic-scorecard")) {
      filters(card);
      sorting(card);
    }
    // The theme gives the arrows of its contents no name.
    document.querySelectorAll(".toctree-toggle").forEach((arrow) => arrow.parentElement.setAttribute("aria-label", "Pages below"));
    const seen = new IntersectionObserver(
      (entries) => {
        for (const entry of entries.filter((e) => e.isIntersecting)) {
          seen.unobserve(entry.target);
          draw(entry.target);
        }
      },
      { rootMargin: "400px" },
    );
    document.querySelectorAll(".ic-plotly").forEach((box) => seen.observe(box));
  });
})();
