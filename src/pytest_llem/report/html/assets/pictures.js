// What is drawn from the configurations: energy against speed, bars by axis, the roof, the comparison.

const COLOURS = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `var(--c${n})`);
const ENERGY = "energy_per_output_token_j";
const SPEED = "output_tokens_per_s";
const NONE = "–";

const axisLook = {
  labelColor: "var(--muted)", titleColor: "var(--muted)", gridColor: "var(--line)", domainColor: "var(--line)",
  tickColor: "var(--line)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", titlePadding: 10, labelFlush: false,
};
const look = {
  background: null,
  font: "system-ui, -apple-system, Segoe UI, Roboto, Liberation Sans, sans-serif",
  view: { stroke: null },
  axis: axisLook,
  legend: { labelColor: "var(--ink)", titleColor: "var(--muted)", titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12, labelLimit: 260, symbolOpacity: 1, symbolBaseFillColor: "var(--muted)", symbolBaseStrokeColor: "var(--muted)" },
  range: { category: COLOURS },
  text: { fill: "var(--ink)" },
};

function draw(id, spec) {
  const whole = { width: "container", autosize: { type: "fit-x", contains: "padding" }, ...spec };
  const options = { mode: "vega-lite", actions: false, renderer: "svg", config: look, tooltip: { disableDefaultStyle: true } };
  return vegaEmbed(`#${id}`, whole, options);
}

const amount = (unit) => `replace(format(datum.value, '~s'), regexp('([a-zA-Zµ]?)$'), '${unit ? ` $1${unit}` : "$1"}')`;
const PREFIXES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"], [1e-9, "n"]];

function withUnit(value, unit) {
  if (value === null) return NONE;
  const counted = unit === "/s"; // a number of things: 12,300/s, not 12.3 k/s
  const [factor, prefix] = counted ? [1, ""] : PREFIXES.find(([size]) => Math.abs(value) >= size * 0.9995) ?? [1, ""];
  const digits = (value / factor).toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 1000 && counted ? 5 : 3 });
  return counted ? `${digits}/s` : `${digits} ${prefix}${unit}`;
}

// 1, 2 and 5 of each decade; only the powers of ten where there are many decades.
function logTicks([low, high]) {
  const steps = high / low > 1e4 ? [1] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) ticks.push(...steps.map((s) => s * 10 ** power));
  return ticks.filter((tick) => tick >= low && tick <= high);
}

const logScale = (domain) => ({ scale: { type: "log", domain, nice: false }, ticks: { values: logTicks(domain) } });

// Log where the values span decades; limits from the values, so that a wide interval cannot push them apart.
function range(values) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (low > 0 && high / low > 15) return logScale([low / 1.3, high * 1.3]);
  return { scale: { type: "linear", domain: [0, high * 1.12], nice: false }, ticks: { tickCount: 6 } };
}

function pointOf(configuration, colour) {
  const [j, low, high] = configuration.figures[ENERGY];
  const [speed] = configuration.figures[SPEED];
  const { name, state, cell } = configuration;
  const interval = low === null ? NONE : `${withUnit(low, "J")} … ${withUnit(high, "J")}`;
  return { name, state, cell, j, low, high, speed, interval, jText: withUnit(j, "J"), speedText: `${withUnit(speed, "/s")}`, colour: configuration.varied[colour] ?? NONE };
}

// Faster costs at least as much as the next one on the front, so the line goes up before it goes right.
function frontOf(points) {
  let best = Infinity;
  return points
    .filter((p) => p.state === "measured")
    .sort((a, b) => b.speed - a.speed || a.j - b.j)
    .filter((p) => p.j < best && ((best = p.j), true));
}

const SHAPES = { domain: ["measured", "estimated", "invalid"], range: ["circle", "diamond", "cross"] };

function drawPareto(colour) {
  const points = data.configurations.filter((c) => c.figures[ENERGY] && c.figures[SPEED]).map((c) => pointOf(c, colour));
  const y = range(points.map((p) => p.j));
  for (const p of points) {
    p.bottom = Math.max(p.low ?? p.j, y.scale.domain[0]);
    p.top = Math.min(p.high ?? p.j, y.scale.domain[1]);
  }
  const front = frontOf(points);
  const legend = colour ? { title: titleOf(colour), orient: "right" } : null;
  const hue = { field: "colour", type: "nominal", sort: valuesOf(colour), legend };
  const across = range(points.map((p) => p.speed));
  const x = { field: "speed", type: "quantitative", scale: across.scale, axis: { title: "output tokens per second", labelExpr: amount(""), ...across.ticks } };
  const up = { field: "j", type: "quantitative", scale: y.scale, axis: { title: "J per output token", labelExpr: amount("J"), ...y.ticks } };
  document.getElementById("pareto-front").textContent = front.length ? `On the front: ${front.map((p) => p.name).join(", ")}.` : "";
  const states = new Set(points.map((p) => p.state));
  const shape = { field: "state", type: "nominal", scale: SHAPES, legend: states.size > 1 ? { title: "energy", orient: "right" } : null };
  return draw("pareto", {
    height: 380,
    layer: [
      { data: { values: front }, mark: { type: "line", interpolate: "step-before", stroke: "var(--ink)", strokeDash: [5, 4], opacity: 0.55 }, encoding: { x, y: up, order: { field: "speed" } } },
      { data: { values: front }, mark: { type: "point", stroke: "var(--ink)", size: 190, strokeWidth: 1.5 }, encoding: { x, y: up } },
      { data: { values: points }, mark: { type: "rule", opacity: 0.4 }, encoding: { x, y: { ...up, field: "bottom" }, y2: { field: "top" }, color: hue } },
      {
        data: { values: points },
        mark: { type: "point", filled: true, opacity: 0.85 },
        encoding: {
          x, y: up, color: hue, shape,
          size: { condition: { test: "datum.state !== 'measured'", value: 150 }, value: points.length > 300 ? 30 : 75 },
          tooltip: [["name", "experiment"], ["jText", "J/token"], ["interval", "95 %"], ["speedText", "tokens"], ["state", "energy"]].map(([field, title]) => ({ field, title })),
        },
      },
    ],
  }).then(({ view }) => view.addEventListener("click", (event, item) => item?.datum?.cell !== undefined && showPower(item.datum.cell)));
}

const titleOf = (path) => data.axes.find((axis) => axis.path === path)?.title ?? "";
const valuesOf = (path) => [...(data.axes.find((axis) => axis.path === path)?.values ?? []), NONE];

function startPareto() {
  const chooser = document.getElementById("pareto-colour");
  if (!chooser) return;
  const few = data.axes.filter((axis) => axis.values.length <= COLOURS.length);
  fill(chooser, [...few.map((axis) => [axis.path, axis.title]), ["", "none"]]);
  chooser.closest(".controls").hidden = few.length === 0;
  chooser.value = few.find((axis) => axis.path === "backend")?.path ?? few[0]?.path ?? "";
  chooser.addEventListener("change", () => drawPareto(chooser.value));
  pictures.push(() => drawPareto(chooser.value));
}

const bars = { axis: "", colour: "", metric: ENERGY, scale: "bars", fixed: {} };

// Configurations on the chosen axis, all other swept values held; the lists that hold them are made on the way.
function held() {
  let left = data.configurations.filter((c) => bars.axis in c.varied && c.figures[bars.metric]);
  const choices = [];
  for (const { path, title } of data.axes) {
    const here = new Set(left.map((c) => c.varied[path] ?? NONE));
    if (path === bars.axis || path === bars.colour || here.size < 2) continue;
    const values = valuesOf(path).filter((value) => here.has(value));
    const value = here.has(bars.fixed[path]) ? bars.fixed[path] : values[0];
    choices.push({ path, title, values, value });
    left = left.filter((c) => (c.varied[path] ?? NONE) === value);
  }
  return { left, choices };
}

function control(label, pairs, value, change) {
  const list = document.createElement("select");
  fill(list, pairs);
  list.value = value;
  list.addEventListener("change", () => change(list.value));
  const whole = document.createElement("label");
  whole.append(`${label} `, list);
  return whole;
}

function drawAxes() {
  const { left, choices } = held();
  const place = document.getElementById("axes-controls");
  const focused = [...place.querySelectorAll("select")].indexOf(document.activeElement);
  const set = (name) => (value) => { bars[name] = value; drawAxes(); };
  const axes = data.axes.map((axis) => [axis.path, axis.title]);
  place.replaceChildren(
    control("Figure", data.metrics.map((m) => [m.key, m.title]), bars.metric, set("metric")),
    control("by", axes, bars.axis, set("axis")),
    control("colour", [["", "none"], ...axes.filter(([path]) => path !== bars.axis)], bars.colour, set("colour")),
    control("as", [["bars", "bars from zero"], ["log", "points, logarithmic"]], bars.scale, set("scale")),
    ...choices.map((c) => control(c.title, c.values.map((v) => [v, v]), c.value, (value) => { bars.fixed[c.path] = value; drawAxes(); })),
  );
  if (focused >= 0) place.querySelectorAll("select")[focused]?.focus();
  return drawBars(left);
}

const OPACITY = { measured: 0.9, estimated: 0.4, invalid: 0.2 };
const SIGNS = { measured: "", estimated: "≈ ESTIMATED", invalid: "! INVALID" };

function drawBars(configurations) {
  const { unit, title } = data.metrics.find((m) => m.key === bars.metric);
  const rows = configurations.map((c) => {
    const [value, low, high, n] = c.figures[bars.metric];
    const shown = withUnit(value, unit);
    const interval = low === null ? NONE : `${withUnit(low, unit)} … ${withUnit(high, unit)}`;
    return { name: c.name, at: c.varied[bars.axis], colour: c.varied[bars.colour] ?? NONE, value, low, high, n, shown, interval, state: c.state, faint: OPACITY[c.state], sign: SIGNS[c.state] };
  });
  const top = Math.max(...rows.map((r) => r.value));
  const least = Math.min(...rows.map((r) => r.value));
  const scaled = bars.scale === "log" && least > 0 ? logScale([least / 1.5, top * 1.5]) : { scale: { domain: [0, Math.min(top * 1.35, Math.max(top, ...rows.map((r) => r.high ?? 0)) * 1.08)], nice: false }, ticks: {} };
  const [floor, ceiling] = scaled.scale.domain;
  for (const r of rows) {
    r.bottom = Math.max(floor, r.low ?? r.value);
    r.top = Math.min(ceiling, r.high ?? r.value);
  }
  const x = { field: "at", type: "nominal", sort: valuesOf(bars.axis), axis: { title: titleOf(bars.axis), labelAngle: 0, labelLimit: 160 } };
  const y = { field: "value", type: "quantitative", scale: scaled.scale, axis: { title, labelExpr: amount(unit), ...scaled.ticks } };
  const mark = floor > 0 ? { type: "point", filled: true, size: 80 } : { type: "bar", cornerRadiusEnd: 2, width: { band: 0.82 } };
  const xOffset = { field: "colour", sort: valuesOf(bars.colour) };
  const color = { field: "colour", type: "nominal", sort: valuesOf(bars.colour), legend: bars.colour ? { title: titleOf(bars.colour), orient: "right" } : null };
  return draw("axes", {
    height: 300,
    data: { values: rows },
    layer: [
      {
        mark,
        encoding: {
          x, y, xOffset, color, opacity: { field: "faint", type: "quantitative", scale: null },
          tooltip: [["name", "experiment"], ["shown", title], ["interval", "95 %"], ["n", "cycles"], ["state", "energy"]].map(([field, t]) => ({ field, title: t })),
        },
      },
      { transform: [{ filter: "datum.low !== null" }], mark: { type: "rule", stroke: "var(--ink)", strokeWidth: 1.5 }, encoding: { x, xOffset, y: { ...y, field: "bottom" }, y2: { field: "top" } } },
      { mark: { type: "text", dy: -9, fontSize: 10, fill: "var(--unsure)" }, encoding: { x, xOffset, y: { ...y, field: "top" }, text: { field: "sign" } } },
    ],
  });
}

function startAxes() {
  if (!document.getElementById("axes")) return;
  const numeric = data.axes.filter((axis) => axis.values.every((value) => !Number.isNaN(Number(value))));
  bars.axis = (numeric.sort((a, b) => b.values.length - a.values.length)[0] ?? data.axes[0]).path;
  bars.metric = data.metrics[0].key;
  bars.colour = data.axes.find((axis) => axis.path !== bars.axis && axis.path !== "backend" && axis.values.length <= 6)?.path ?? "";
  pictures.push(drawAxes);
}

function drawRoofline() {
  const points = data.positions.map((p) => ({ ...p, kind: p.at_least ? "at least" : "exact", xText: withUnit(p.intensity, "FLOP/B"), yText: withUnit(p.flops_per_s, "FLOP/s") }));
  const devices = new Map(points.map((p) => [p.device, p]));
  const reach = (values) => [Math.min(...values) / 2, Math.max(...values) * 2];
  const across = logScale(reach(points.flatMap((p) => [p.intensity, p.peak_flops_per_s / p.bandwidth_bytes_per_s])));
  const upward = logScale(reach(points.flatMap((p) => [p.flops_per_s, p.peak_flops_per_s])));
  const roof = [...devices.values()].flatMap(({ device, peak_flops_per_s: peak, bandwidth_bytes_per_s: bandwidth }) => {
    const foot = Math.max(across.scale.domain[0], upward.scale.domain[0] / bandwidth);
    return [foot, peak / bandwidth, across.scale.domain[1]].map((at) => ({ device, intensity: at, flops_per_s: Math.min(peak, at * bandwidth) }));
  });
  const x = { field: "intensity", type: "quantitative", scale: across.scale, axis: { title: "FLOP per byte", labelExpr: amount(""), ...across.ticks } };
  const y = { field: "flops_per_s", type: "quantitative", scale: upward.scale, axis: { title: "FLOP/s for each device", labelExpr: amount("FLOP/s"), ...upward.ticks } };
  const several = new Set(points.map((p) => p.backend)).size > 1;
  return draw("roofline", {
    height: 320,
    layer: [
      { data: { values: roof }, mark: { type: "line", stroke: "var(--ink)", strokeWidth: 1.5 }, encoding: { x, y, detail: { field: "device" } } },
      { data: { values: [...devices.values()] }, mark: { type: "text", align: "right", dy: -8, fill: "var(--muted)" }, encoding: { x: { datum: across.scale.domain[1], type: "quantitative" }, y: { ...y, field: "peak_flops_per_s" }, text: { field: "device" } } },
      {
        data: { values: points },
        mark: { type: "point", filled: true, opacity: 0.75, size: points.length > 300 ? 25 : 65 },
        encoding: {
          x, y,
          color: { field: "backend", type: "nominal", legend: several ? { title: "backend", orient: "right" } : null },
          shape: { field: "kind", type: "nominal", scale: { domain: ["exact", "at least"], range: ["circle", "triangle-right"] }, legend: null },
          tooltip: [["cell_id", "cell"], ["xText", "intensity"], ["yText", "rate"], ["kind", "intensity is"]].map(([field, title]) => ({ field, title })),
        },
      },
    ],
  });
}

const MOST_COMPARED = 40; // a longer picture is harder to read than the table below it
const VERDICTS = { domain: ["fail", "pass", "inconclusive"], range: ["var(--bad)", "var(--good)", "var(--unsure)"] };

function drawComparison() {
  if (!data.comparisons.length) return undefined;
  const rows = data.comparisons.slice(0, MOST_COMPARED).map(({ name, verdict, change: [mid, low, high] }) => ({ name, verdict, mid, low, high }));
  const y = { field: "name", type: "nominal", sort: null, axis: { title: null, labelLimit: 420, grid: false } };
  const x = { type: "quantitative", axis: { title: "change against the baseline", format: "+.0%" } };
  const color = { field: "verdict", type: "nominal", scale: VERDICTS, legend: { title: null, orient: "top" } };
  return draw("comparison", {
    height: rows.length * 22,
    data: { values: rows },
    layer: [
      { mark: { type: "rule", stroke: "var(--muted)" }, encoding: { x: { datum: 0, type: "quantitative" } } },
      { mark: { type: "rule", strokeWidth: 2 }, encoding: { y, x: { ...x, field: "low" }, x2: { field: "high" }, color } },
      { mark: { type: "point", filled: true, size: 60 }, encoding: { y, x: { ...x, field: "mid" }, color } },
    ],
  });
}
