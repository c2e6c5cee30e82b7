"use strict";
// What a page does: draws its charts, makes their tables, sorts, filters and hides runs. Without it the page still reads.
(() => {
  const data = JSON.parse(document.getElementById("page-data").textContent);
  const all = (query, under = document) => [...under.querySelectorAll(query)];
  const hidden = new Set();

  // Text only: whatever a name holds, it becomes no element.
  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    return Math.abs(value) >= 10000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(5)));
  };
  const makeTable = (heads, rows, runs = []) => {
    const table = make("table");
    const head = table.createTHead().insertRow();
    heads.forEach((text, at) => head.append(make("th", text, { scope: "col", class: at ? "number" : "" })));
    const body = table.createTBody();
    for (const [at, cells] of rows.entries()) {
      const row = body.insertRow();
      if (runs[at] !== undefined && runs[at] !== null) row.dataset.run = runs[at];
      cells.forEach((text, place) =>
        row.append(make(place ? "td" : "th", text, place ? { class: "number" } : { scope: "row" })));
    }
    return table;
  };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Charts.
  const drawn = new Map();
  const joined = (lines) => {
    const places = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
    const at = new Map(places.map((x, place) => [x, place]));
    const columns = lines.map((line) => {
      const column = new Array(places.length).fill(undefined); // undefined: no value there, the line goes on
      line.x.forEach((x, place) => { column[at.get(x)] = line.y[place]; }); // null: missing, the line is broken
      return column;
    });
    return [places, ...columns];
  };
  const shadeWarmUp = (chart) => (plot) => {
    const context = plot.ctx;
    context.save();
    context.fillStyle = css("--shade");
    const seen = new Set();
    for (const line of chart.lines) {
      if (line.run !== null && hidden.has(line.run)) continue;
      for (const [first, last] of line.shaded) {
        if (seen.has(`${first} ${last}`)) continue;
        seen.add(`${first} ${last}`);
        const from = Math.max(plot.valToPos(first - 0.5, "x", true), plot.bbox.left);
        const to = Math.min(plot.valToPos(last + 0.5, "x", true), plot.bbox.left + plot.bbox.width);
        if (to > from) context.fillRect(from, plot.bbox.top, to - from, plot.bbox.height);
      }
    }
    context.restore();
  };
  const tooltip = (chart) => {
    const tip = make("div", undefined, { class: "tip", role: "status" });
    return {
      hooks: {
        init: (plot) => plot.over.append(tip),
        setCursor: (plot) => {
          const { idx, left } = plot.cursor;
          const rows = [];
          if (idx !== null && idx !== undefined && left >= 0) {
            chart.lines.forEach((line, at) => {
              const value = plot.data[at + 1][idx];
              if (plot.series[at + 1].show && value !== undefined) rows.push([line, value]);
            });
          }
          tip.style.display = rows.length ? "block" : "none";
          if (!rows.length) return;
          const table = make("table");
          table.insertRow().append(make("th", `${chart.x} ${shown(plot.data[0][idx])}`, { colspan: 2 }));
          for (const [line, value] of rows.slice(0, 12)) {
            const row = table.insertRow();
            const name = make("td", line.name);
            const mark = swatch(line.style);
            name.prepend(mark, " ");
            row.append(name, make("td", shown(value)));
          }
          tip.replaceChildren(table);
          const room = plot.over.clientWidth;
          tip.style.left = left > room / 2 ? "auto" : `${left + 14}px`;
          tip.style.right = left > room / 2 ? `${room - left + 14}px` : "auto";
          tip.style.top = "6px";
        },
      },
    };
  };
  const swatch = (style) => {
    const space = "http://www.w3.org/2000/svg";
    const picture = document.createElementNS(space, "svg");
    picture.setAttribute("class", "swatch");
    picture.setAttribute("width", 26);
    picture.setAttribute("height", 10);
    const stroke = document.createElementNS(space, "line");
    for (const [name, value] of [["x1", 1], ["x2", 25], ["y1", 5], ["y2", 5]]) stroke.setAttribute(name, value);
    stroke.setAttribute("stroke-dasharray", data.dashes[style % data.dashes.length].join(" ") || "none");
    stroke.style.stroke = `var(--run-${style % data.colours})`;
    picture.append(stroke);
    return picture;
  };
  const draw = (chart, figure) => {
    const box = figure.querySelector(".plot");
    const few = chart.lines.every((line) => line.x.length <= 40);
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const axis = { stroke: css("--muted"), font, grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false } };
    const height = figure.closest(".three") ? 200 : 280;
    drawn.get(chart.id)?.destroy();
    box.replaceChildren();
    const plot = new uPlot({
      width: Math.max(box.clientWidth, 200),
      height,
      padding: [10, 14, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false } },
      legend: { show: false },
      scales: {
        x: { time: false },
        y: { range: (_, low, high) => range(low, chart.top === null ? high : Math.min(high, chart.top)) },
      },
      axes: [
        { ...axis, label: chart.x, labelFont: font, labelSize: 20, size: 34, incrs: chart.whole ? whole : undefined,
          values: (_, splits) => splits.map((value) => value.toLocaleString("en-US")) },
        { ...axis, size: 58, label: chart.y || undefined, labelFont: font, labelSize: 18,
          values: (_, splits) => splits.map((value) => String(Number(value.toPrecision(6)))) },
      ],
      series: [
        {},
        ...chart.lines.map((line) => ({
          label: line.name,
          stroke: css(`--run-${line.style % data.colours}`),
          dash: data.dashes[line.style % data.dashes.length].map((length) => length * 0.9),
          width: 1.75,
          spanGaps: false,
          show: !(line.run !== null && hidden.has(line.run)),
          points: { show: few, size: 6, fill: css("--ground") },
        })),
      ],
      hooks: { drawClear: [shadeWarmUp(chart)] },
      plugins: [tooltip(chart)],
    }, joined(chart.lines), box);
    drawn.set(chart.id, plot);
  };
  const whole = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10000, 25000, 50000, 100000, 250000];
  const range = (low, high) => {
    if (low === null || high === null) return [0, 1];
    const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
    return [low < 0 ? low - room : Math.max(0, low - room), high + room];
  };
  const figures = new Map(all("figure[data-chart]").map((figure) => [figure.dataset.chart, figure]));
  const drawAll = () => {
    for (const chart of data.charts) if (figures.has(chart.id)) draw(chart, figures.get(chart.id));
  };
  const moveCursor = (event, plot) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const last = plot.data[0].length - 1;
    const at = Math.min(Math.max((plot.cursor.idx ?? -1) + steps[event.key], 0), last);
    plot.setCursor({ left: plot.valToPos(plot.data[0][at], "x"), top: 0 });
  };
  for (const chart of data.charts) {
    const figure = figures.get(chart.id);
    if (!figure) continue;
    figure.querySelector(".plot").addEventListener("keydown", (event) => moveCursor(event, drawn.get(chart.id)));
    const details = figure.querySelector("details.figures");
    details.addEventListener("toggle", () => {
      const box = details.querySelector(".scroll");
      if (!details.open || box.childElementCount) return;
      const [places, ...columns] = joined(chart.lines);
      const rows = places.map((x, at) => [x.toLocaleString("en-US"), ...columns.map((column) => shown(column[at]))]);
      box.append(makeTable([chart.x, ...chart.lines.map((line) => line.name)], rows));
    });
  }

  // Maps of loads.
  for (const map of data.maps) {
    const picture = document.querySelector(`svg[data-map="${map.id}"]`);
    const details = document.querySelector(`details[data-map-table="${map.id}"]`);
    if (!picture || !details) continue;
    const tip = make("div", undefined, { class: "tip", role: "status" });
    picture.parentElement.append(tip);
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const row = Math.floor(((event.clientY - box.top) / box.height) * map.layers.length);
      const column = Math.floor(((event.clientX - box.left) / box.width) * map.loads[0].length);
      const load = map.loads[row]?.[column];
      if (load === undefined) return;
      tip.textContent = `${map.layers[row]}, expert ${column}: ${(load / 100).toFixed(2)} × mean`;
      tip.style.display = "block";
      const right = event.clientX - box.left > box.width / 2;
      const left = picture.offsetLeft + event.clientX - box.left;
      tip.style.left = right ? "auto" : `${left + 14}px`;
      tip.style.right = right ? `${picture.parentElement.clientWidth - left + 14}px` : "auto";
      tip.style.top = `${event.clientY - box.top + 16}px`;
    });
    picture.addEventListener("pointerleave", () => { tip.style.display = "none"; });
    details.addEventListener("toggle", () => {
      const box = details.querySelector(".scroll");
      if (!details.open || box.childElementCount) return;
      const rows = map.layers.map((name, at) => [name, ...map.loads[at].map((load) => (load / 100).toFixed(2))]);
      box.append(makeTable(["× mean", ...map.loads[0].map((_, at) => `expert ${at}`)], rows));
    });
  }

  // Which runs are shown: the chips and the filter.
  const chips = all("[data-chip]");
  const filter = document.getElementById("filter");
  const rows = all("#runs tbody tr");
  const words = rows.map((row) => row.textContent.toLowerCase());
  const showRuns = () => {
    const wanted = (filter?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    hidden.clear();
    for (const chip of chips) if (chip.getAttribute("aria-pressed") === "false") hidden.add(Number(chip.dataset.chip));
    rows.forEach((row, at) => {
      if (!wanted.every((word) => words[at].includes(word))) hidden.add(Number(row.dataset.run));
    });
    for (const element of all("main [data-run]")) element.hidden = hidden.has(Number(element.dataset.run));
    for (const chart of data.charts) {
      const plot = drawn.get(chart.id);
      if (!plot) continue;
      plot.batch(() => chart.lines.forEach((line, at) => {
        const show = line.run === null || !hidden.has(line.run);
        if (plot.series[at + 1].show !== show) plot.setSeries(at + 1, { show });
      }));
    }
    const count = document.getElementById("count");
    if (count) count.textContent = `${chips.length - hidden.size} of ${chips.length} runs`;
  };
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") === "false"));
      showRuns();
    });
  }
  filter?.addEventListener("input", showRuns);

  // Sorting: missing last, whichever way.
  const keyOf = (cell) => {
    const key = cell.dataset.key ?? cell.textContent.trim();
    if (key === "" || key === "–") return null;
    return key !== "" && Number.isFinite(Number(key)) ? Number(key) : key.toLowerCase();
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  };
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, place) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const falls = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        head.setAttribute("aria-sort", falls ? "descending" : "ascending");
        const body = table.tBodies[0];
        const keyed = [...body.rows].map((row) => [keyOf(row.cells[place]), row]);
        keyed.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return falls ? compare(b, a) : compare(a, b);
        });
        body.append(...keyed.map(([, row]) => row));
      });
    });
  }

  // Dots of a plot: the nearest one says what it is.
  for (const picture of all("svg[data-dots]")) {
    const tip = make("div", undefined, { class: "tip", role: "status" });
    picture.parentElement.append(tip);
    const dots = data.dots;
    const frame = JSON.parse(picture.dataset.dots);
    const pixels = dots.map(([x, y]) => [frame.x[0] + x * frame.x[1], frame.y[0] + y * frame.y[1]]);
    const ring = picture.querySelector(".ring");
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const scale = picture.viewBox.baseVal.width / box.width;
      const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let nearest = -1;
      let least = 24 ** 2;
      pixels.forEach(([left, top], at) => {
        const apart = (left - x) ** 2 + (top - y) ** 2;
        if (apart < least) { least = apart; nearest = at; }
      });
      tip.style.display = nearest < 0 ? "none" : "block";
      ring.style.display = nearest < 0 ? "none" : "inline";
      if (nearest < 0) return;
      const [left, top] = pixels[nearest];
      ring.setAttribute("cx", left);
      ring.setAttribute("cy", top);
      tip.textContent = dots[nearest][2];
      const right = left / scale > box.width / 2;
      tip.style.left = right ? "auto" : `${left / scale + 14}px`;
      tip.style.right = right ? `${box.width - left / scale + 14}px` : "auto";
      tip.style.top = `${top / scale + 10}px`;
    });
    picture.addEventListener("pointerleave", () => {
      tip.style.display = "none";
      ring.style.display = "none";
    });
  }

  // Drawn anew wherever colours or widths change.
  if (data.charts.length) {
    drawAll();
    for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", drawAll);
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) drawAll();
      width = innerWidth;
    });
  }
  showRuns();
  document.documentElement.dataset.ready = "yes";
})();
