// The scorecard's filters, Plotly figures that load when they come into view and follow the theme, and a mend of the theme.
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
    // A browser restores the choice of a reloaded page without an event.
    apply();
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

  // Plotly's own menus can not be reached by keyboard: each becomes a real one above the drawing.
  function menus(box, given, Plotly) {
    for (const menu of given.updatemenus ?? []) {
      const select = document.createElement("select");
      select.className = "ic-menu";
      select.setAttribute("aria-label", "What the figure shows");
      menu.buttons.forEach((button) => select.append(new Option(button.label)));
      select.addEventListener("change", () => {
        const { method, args } = menu.buttons[select.selectedIndex];
        Plotly[method](box, ...args);
      });
      box.before(select);
    }
  }

  async function draw(box) {
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

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".ic-scorecard").forEach(filters);
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
