// Power over time of the chosen cell; its curve is parsed when it is chosen.

const traced = data.cells.map((cell, index) => ({ ...cell, index })).filter((cell) => cell.power);

function drawPower(index) {
  const cell = data.cells[index];
  const curve = JSON.parse(document.getElementById(`power-${index}`).textContent);
  const points = curve.lines.flatMap(({ device, times_ms, power_w }, line) => times_ms.map((ms, i) => ({ t: ms / 1e3, w: power_w[i], device, line })));
  const spans = (found) => found.map(([label, from, to]) => ({ label, from: from / 1e3, to: to / 1e3 }));
  const phases = spans(curve.phases);
  const names = [...new Set(phases.map((phase) => phase.label))];
  const last = Math.max(...points.map((p) => p.t));
  const top = Math.max(...points.map((p) => p.w), cell.idle ?? 0) * 1.08;
  const x = { field: "t", type: "quantitative", scale: { domain: [0, last], nice: false }, axis: { title: "seconds", grid: false } };
  const y = { field: "w", type: "quantitative", scale: { domain: [0, top], nice: false }, axis: { title: `${curve.field}, W` } };
  const across = { x: { ...x, field: "from" }, x2: { field: "to" }, y: { value: 0 }, y2: { value: "height" } };
  const devices = new Set(points.map((p) => p.device)).size;
  const tones = { domain: names, range: ["var(--c2)", "var(--c3)", "var(--c4)", "var(--c5)"] };
  const layer = [
    { data: { values: spans(curve.windows) }, mark: { type: "rect", fill: "var(--window)", opacity: 0.1 }, encoding: { ...across, tooltip: { field: "label", title: "window" } } },
    { data: { values: phases }, mark: { type: "rect", opacity: 0.16 }, encoding: { ...across, fill: { field: "label", type: "nominal", scale: tones, legend: names.length ? { title: null, orient: "top", symbolOpacity: 0.35 } : null } } },
    {
      data: { values: points },
      mark: { type: "line", strokeWidth: 1.4, interpolate: "linear" },
      encoding: { x, y, detail: { field: "line" }, stroke: { field: "device", type: "nominal", legend: devices > 1 ? { title: "device", orient: "top" } : null } },
    },
    { data: { values: spans(curve.windows) }, mark: { type: "text", align: "left", baseline: "top", dx: 4, dy: 4, fill: "var(--muted)" }, encoding: { x: { ...x, field: "from" }, y: { value: 0 }, text: { field: "label" } } },
  ];
  if (cell.idle !== null) {
    const at = { datum: cell.idle, type: "quantitative" };
    layer.push({ data: { values: [{}] }, mark: { type: "rule", stroke: "var(--ink)", strokeDash: [4, 4], opacity: 0.6 }, encoding: { y: at } });
  }
  const thinned = points.length < curve.samples ? ` of ${curve.samples.toLocaleString("en")}, thinned so that peaks and dips stay` : "";
  const idle = cell.idle === null ? "" : ` Dashed: idle power with the model loaded, ${cell.idle.toFixed(0)} W.`;
  const trust = { measured: "", estimated: " ESTIMATED: this is no measured power.", invalid: " INVALID: see the reasons in the table." }[cell.state];
  document.getElementById("power-facts").textContent = `${cell.id}: ${points.length.toLocaleString("en")} samples${thinned}.${idle}${trust}`;
  return draw("watts", { height: 280, layer, resolve: { scale: { fill: "independent", stroke: "independent" } } });
}

function choosePower(index) {
  document.getElementById("power-cell").value = index;
  return drawPower(index);
}

function showPower(index) {
  if (!data.cells[index].power) return;
  choosePower(index);
  document.getElementById("watts").scrollIntoView({ block: "center" });
  document.getElementById("power-cell").focus({ preventScroll: true });
}

function startPower() {
  const chooser = document.getElementById("power-cell");
  if (!chooser) return;
  fill(chooser, traced.map((cell) => [cell.index, cell.id]));
  chooser.closest(".controls").hidden = traced.length < 2;
  chooser.addEventListener("change", () => drawPower(Number(chooser.value)));
  const step = (by) => () => {
    const now = traced.findIndex((cell) => cell.index === Number(chooser.value));
    choosePower(traced[(now + by + traced.length) % traced.length].index);
  };
  document.getElementById("power-back").addEventListener("click", step(-1));
  document.getElementById("power-next").addEventListener("click", step(1));
  body.addEventListener("click", (event) => {
    const button = event.target.closest("button.show");
    if (button) showPower(Number(button.dataset.cell));
  });
  pictures.push(() => choosePower(traced[0].index));
}
