"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

/* Rows of buttons of which one is pressed. */
for (const row of all(".choices")) {
  row.addEventListener("click", (event) => {
    const chosen = event.target.closest("button");
    if (!chosen) return;
    for (const button of all("button", row)) button.setAttribute("aria-pressed", String(button === chosen));
    row.dispatchEvent(new CustomEvent("choose", { detail: chosen.value }));
  });
}

/* Curves: one chart for each clip, a cursor under each. */
const FORMS = { psnr_y: (v) => v.toFixed(2) + " dB", ssim_y: (v) => v.toFixed(4) };

function drawChart(figure, metric) {
  const clip = data.charts[figure.dataset.chart];
  const names = Object.keys(clip.series);
  const width = 480, height = 210, left = 44, right = 8, top = 10, bottom = 22;
  const values = names.flatMap((name) => clip.series[name][metric]);
  const pad = (Math.max(...values) - Math.min(...values)) * 0.06 || 0.5;
  const low = Math.min(...values) - pad, high = Math.max(...values) + pad, last = Math.max(clip.known.length - 1, 1);
  const x = (i) => left + (i / last) * (width - left - right);
  const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
  let marks = "";
  for (let k = 0; k <= 4; k++) {
    const value = low + ((high - low) * k) / 4;
    marks += `<line x1="${left}" x2="${width - right}" y1="${y(value)}" y2="${y(value)}" stroke="var(--line)"/>` +
      `<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${value.toFixed(metric === "psnr_y" ? 1 : 3)}</text>`;
  }
  for (const i of [0, Math.round(last / 2), last]) {
    marks += `<text x="${x(i)}" y="${height - 4}" text-anchor="middle">${i}</text>`;
  }
  for (const name of names) {
    const series = clip.series[name][metric], colour = data.colours[name];
    for (const known of [true, false]) { // apart: one line through both would only zigzag
      const points = series.flatMap((v, i) => (clip.known[i] === known ? [x(i) + "," + y(v)] : []));
      marks += `<polyline fill="none" stroke="${colour}" stroke-width="1.6"${known ? "" : ' stroke-dasharray="4 3"'} points="${points.join(" ")}"/>`;
    }
    series.forEach((v, i) => {
      marks += `<circle cx="${x(i)}" cy="${y(v)}" r="2.4" stroke="${colour}" fill="${clip.known[i] ? colour : "var(--panel)"}"/>`;
    });
  }
  const svg = figure.querySelector("svg"), cursor = figure.querySelector("input"), output = figure.querySelector("output");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.innerHTML = marks + `<line class="cursor" y1="${top}" y2="${height - bottom}" stroke="var(--accent)"/>`;
  cursor.max = last;
  cursor.oninput = () => {
    const i = Number(cursor.value), line = svg.querySelector(".cursor");
    line.setAttribute("x1", x(i));
    line.setAttribute("x2", x(i));
    const part = (...content) => {
      const span = document.createElement("span");
      span.append(...content);
      return span;
    };
    output.replaceChildren(part(`Frame ${i}, ${clip.known[i] ? "known" : "made"}:`));
    for (const name of names) {
      const dot = document.createElement("i");
      dot.style.background = data.colours[name];
      output.append(" ", part(dot, `${name} ${FORMS[metric](clip.series[name][metric][i])}`));
    }
  };
  svg.onpointermove = (event) => {
    const box = svg.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    cursor.value = Math.round(((at - left) / (width - left - right)) * last);
    cursor.oninput();
  };
  cursor.oninput();
}
const charts = all(".chart");
const drawCharts = (metric) => charts.forEach((figure) => drawChart(figure, metric));
drawCharts("psnr_y");
document.getElementById("metric")?.addEventListener("choose", (event) => drawCharts(event.detail));

/* Exhibits: the slider, and the crop that moves by pointer and by arrow keys. */
function setUp(section) {
  const exhibit = data.exhibits[section.dataset.exhibit];
  const stage = section.querySelector(".stage"), range = stage.querySelector("input");
  const slide = () => stage.style.setProperty("--split", range.value + "%");
  range.addEventListener("input", slide);
  slide();
  for (const side of ["a", "b"]) {
    const select = section.querySelector(`select.${side}`);
    const show = () => {
      stage.querySelector(side === "a" ? "img.left" : "img.right").src = exhibit.images[select.value];
      stage.querySelector(`.name.${side}`).textContent = select.value;
    };
    select.addEventListener("change", show);
    show();
  }

  const finder = section.querySelector(".finder"), box = finder.querySelector(".box");
  let [left, top, width, height] = exhibit.crop;
  const canvases = all("canvas", section).map((canvas) => {
    const image = new Image();
    image.src = exhibit.images[canvas.dataset.method];
    return [canvas, image, image.decode()];
  });
  const move = (x, y) => {
    left = Math.round(Math.min(Math.max(x, 0), exhibit.size[0] - width));
    top = Math.round(Math.min(Math.max(y, 0), exhibit.size[1] - height));
    const place = { left: left / exhibit.size[0], top: top / exhibit.size[1], width: width / exhibit.size[0], height: height / exhibit.size[1] };
    for (const [key, value] of Object.entries(place)) box.style[key] = 100 * value + "%";
    for (const [canvas, image, ready] of canvases) {
      ready.then(() => canvas.getContext("2d").drawImage(image, left, top, width, height, 0, 0, width, height));
    }
    finder.setAttribute("aria-valuetext", `${left} across, ${top} down`);
  };
  const point = (event) => {
    const frame = finder.getBoundingClientRect();
    move(((event.clientX - frame.left) / frame.width) * exhibit.size[0] - width / 2,
      ((event.clientY - frame.top) / frame.height) * exhibit.size[1] - height / 2);
  };
  finder.addEventListener("pointerdown", (event) => { finder.setPointerCapture(event.pointerId); point(event); });
  finder.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
  finder.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-4, 0], ArrowRight: [4, 0], ArrowUp: [0, -4], ArrowDown: [0, 4] }[event.key];
    if (!step) return;
    event.preventDefault();
    move(left + step[0], top + step[1]);
  });
  move(left, top);
}
/* The same frame is shown in every section. */
const waiting = new Set(all(".exhibit").filter((section) => section.querySelector(".stage")));
function showExhibit(index) {
  for (const section of all(".exhibit")) {
    section.hidden = section.dataset.exhibit !== index;
    if (!section.hidden && waiting.delete(section)) setUp(section);
  }
  for (const button of all(".frames button")) button.setAttribute("aria-pressed", String(button.value === index));
}
for (const row of all(".frames")) row.addEventListener("choose", (event) => showExhibit(event.detail));
if (waiting.size) showExhibit("0");
