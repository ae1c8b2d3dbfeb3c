"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const figures = read("figures");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Figures carry no colours of page, text or grid: these follow the reader's light or dark.
  const themed = (layout) => {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: color("--line"), zerolinecolor: color("--line"), linecolor: color("--line") };
    const menus = (layout.updatemenus || []).map((menu) => ({
      ...menu, bgcolor: color("--band"), bordercolor: color("--line"), font: { color: color("--text") },
    }));
    return {
      ...layout, autosize: true, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: color("--text"), family: "system-ui, sans-serif", size: 13 },
      xaxis: { ...layout.xaxis, ...axis }, yaxis: { ...layout.yaxis, ...axis }, updatemenus: menus,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--soft"), activecolor: color("--text") },
      hoverlabel: { bgcolor: color("--band"), bordercolor: color("--line"), font: { color: color("--text") } },
    };
  };
  const config = { responsive: true, displaylogo: false, showTips: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  const drawn = new Set();
  const draw = (name) => {
    if (drawn.has(name)) return;
    drawn.add(name);
    const place = document.getElementById(`chart-${name}`);
    Plotly.newPlot(place, figures[name].data, themed(figures[name].layout), config).then(() => {
      place.style.minHeight = "";
      if (name === "roofline") place.on("plotly_click", (event) => toggleLayers(place, event.points[0]));
    });
  };
  // A model that is clicked shows its layers, or hides them again.
  const toggleLayers = (place, point) => {
    const label = Array.isArray(point.customdata) ? point.customdata[0] : "";
    const traces = place.data.map((trace, index) => [trace, index]).filter(([trace]) => trace.meta === `layers:${label}`);
    for (const [trace, index] of traces) {
      Plotly.restyle(place, { visible: trace.visible === true ? "legendonly" : true }, [index]);
    }
  };

  // What is in sight is drawn first; the rest when it comes near, or when there is nothing else to do.
  if (Object.keys(figures).length) {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) draw(entry.target.id.slice("chart-".length));
    }, { rootMargin: "600px" });
    document.querySelectorAll(".chart").forEach((place) => watch.observe(place));
    const later = window.requestIdleCallback || ((call) => setTimeout(call, 50));
    const rest = Object.keys(figures);
    const next = () => { if (rest.length) { draw(rest.shift()); later(next); } };
    later(next);
    dark.addEventListener("change", () => drawn.forEach((name) =>
      Plotly.relayout(document.getElementById(`chart-${name}`), themed(figures[name].layout))));
    window.addEventListener("beforeprint", () => Object.keys(figures).forEach(draw));
  }

  // Tables: a click on a heading sorts, a second one turns the order around; what is unknown stays last.
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent : Number(cell.dataset.key);
  };
  const order = (a, b) => {
    const unknown = (key) => key === "–";
    if (unknown(a) !== unknown(b)) return { last: unknown(a) ? 1 : -1 };
    if (typeof a === "number" && typeof b === "number") return { turn: a - b };
    return { turn: String(a).localeCompare(String(b), "en", { numeric: true }) };
  };
  document.querySelectorAll("table.sortable").forEach((table) => {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => heading.addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      headings.forEach((each) => each.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
      rows.sort(([a], [b]) => { const found = order(a, b); return found.last ?? sign * found.turn; });
      body.append(...rows.map(([, row]) => row));
    }));
  });

  const rounds = read("rounds-data");
  const save = document.getElementById("save-rounds");
  if (save && rounds.length) {
    const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
    save.hidden = false;
    save.addEventListener("click", () => {
      const lines = rounds.flatMap(([name, seconds]) => seconds.map((value, index) => `${quoted(name)},${index + 1},${value}`));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([["case,round,seconds", ...lines, ""].join("\n")], { type: "text/csv" }));
      link.download = "rounds.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
  }
})();
