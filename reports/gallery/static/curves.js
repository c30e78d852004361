// Per-frame curves, drawn by uPlot: on the page in place of the printed drawings, and under the viewer.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { data, all, make, show } = shared;
  if (!window.uPlot) return;
  const hidden = new Set();  // labels switched off by the legend

  /**
   * Draws one metric of one clip into `box`. `pictured` is the set of frames with a picture, `pick(frame)` is called on
   * a click. Returns { mark(frame), resize(), destroy() }.
   */
  function draw(box, clip, metric, height, pictured, pick) {
    const values = clip.values[metric.key];
    const shown = data.methods.map((method, place) => ({ method, values: values[place] })).filter((s) => s.values);
    const tip = make("div", { className: "tip", hidden: true });
    let plot = null, marked = null, colours = null;

    function options() {
      colours = look(box);
      return {
        width: Math.max(120, box.clientWidth), height, legend: { show: false }, padding: [10, 8, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: false, range: (u, low, high) => [low - 0.5, Math.max(high, low + 1) + 0.5] } },
        axes: [axis(frameAxis(clip, colours)), axis({ size: 46, grid: { stroke: colours.grid, width: 1 } })],
        series: [{}, ...shown.map(line)],
        hooks: { draw: [paint], setCursor: [point] },
      };
    }

    function axis(own) {
      return Object.assign({ stroke: colours.text, font: "11px system-ui, sans-serif", ticks: { show: false } }, own);
    }

    function line(entry) {
      const { method } = entry;
      return {
        stroke: colours.series[method.colour], width: 2, dash: method.dash, show: !hidden.has(method.label),
        points: { show: clip.frames.length < 3, size: 6 },
      };
    }

    /** The line of the current frame, and a tick under every frame that has a picture. */
    function paint(u) {
      const { ctx, bbox } = u, ratio = window.devicePixelRatio || 1;
      const x = (frame) => u.valToPos(clip.frames.indexOf(frame), "x", true);
      ctx.save();
      ctx.fillStyle = colours.accent;
      pictured.forEach((frame) => ctx.fillRect(x(frame) - 2 * ratio, bbox.top + bbox.height - 4 * ratio, 4 * ratio, 4 * ratio));
      if (marked !== null && clip.frames.includes(marked)) ctx.fillRect(x(marked) - ratio / 2, bbox.top, ratio * 1.5, bbox.height);
      ctx.font = 13 * ratio + "px system-ui, sans-serif";
      shown.forEach((entry) => entry.values.forEach(function (value, place) {
        if (value !== "inf") return;
        ctx.fillStyle = colours.series[entry.method.colour];
        ctx.fillText("∞", u.valToPos(place, "x", true) - 5 * ratio, bbox.top + 10 * ratio);
      }));
      ctx.restore();
    }

    function point(u) {
      const place = u.cursor.idx;
      tip.hidden = place === null || place === undefined || u.cursor.left < 0;
      if (tip.hidden) return;
      const lines = shown.filter((s) => !hidden.has(s.method.label)).map(function (s) {
        const key = make("i", { className: "s" + s.method.colour });
        return make("span", {}, key, s.method.label, make("b", {}, show(metric, s.values[place])));
      });
      const frame = clip.frames[place];
      tip.replaceChildren(make("strong", {}, "frame " + frame + (pictured.has(frame) ? " · click for the picture" : "")), ...lines);
      const right = u.cursor.left > u.over.clientWidth / 2;
      tip.style.left = right ? "" : u.over.offsetLeft + u.cursor.left + 12 + "px";
      tip.style.right = right ? box.clientWidth - u.over.offsetLeft - u.cursor.left + 12 + "px" : "";
    }

    function build() {
      if (plot) plot.destroy();
      const x = clip.frames.map((frame, place) => place);
      const finite = shown.map((s) => s.values.map((value) => (value === "inf" ? null : value)));
      plot = new window.uPlot(options(), [x, ...finite], box);
      plot.root.append(tip);
      plot.over.addEventListener("click", function () {
        const place = plot.cursor.idx;
        if (place !== null && place !== undefined) pick(clip.frames[place]);
      });
    }

    const toggle = function (event) {
      const place = shown.findIndex((s) => s.method.label === event.detail.label);
      if (place >= 0) plot.setSeries(place + 1, { show: event.detail.shown });
    };
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    document.addEventListener("togglemethod", toggle);
    dark.addEventListener("change", build);
    build();
    return {
      mark(frame) { marked = frame; plot.redraw(false); },
      resize() { plot.setSize({ width: Math.max(120, box.clientWidth), height }); },
      destroy() {
        document.removeEventListener("togglemethod", toggle);
        dark.removeEventListener("change", build);
        plot.destroy();
      },
    };
  }

  document.addEventListener("togglemethod", function (event) {
    if (event.detail.shown) hidden.delete(event.detail.label); else hidden.add(event.detail.label);
  });

  /** Names under the first and the last frame and a few between, never half a frame. */
  function frameAxis(clip, colours) {
    return {
      size: 26, grid: { show: false }, space: 90, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000], stroke: colours.text,
      values: (u, places) => places.map((place) => clip.frames[place] || ""),
    };
  }

  function look(box) {
    const style = getComputedStyle(box), colour = (name) => style.getPropertyValue(name).trim();
    const series = [];
    for (let n = 0; colour("--s" + n); n += 1) series.push(colour("--s" + n));
    return { series, text: colour("--soft"), grid: colour("--rule"), accent: colour("--accent") };
  }

  shared.drawCurve = draw;

  // On the page: a drawing becomes a plot when it comes into view, and follows the width of its box.
  function replace(figure) {
    const clip = data.clips.find((c) => c.name === figure.dataset.clip);
    const metric = data.metrics.find((m) => m.key === figure.dataset.metric);
    const drawing = figure.querySelector("svg");
    const box = make("div", { className: "plotted", role: "img" });
    box.setAttribute("aria-label", drawing.getAttribute("aria-label"));
    drawing.after(box);
    drawing.classList.add("only-print");
    const pictured = new Set(shared.pictured(clip.name));
    const height = Math.round(box.clientWidth * 0.475);
    const plot = draw(box, clip, metric, Math.max(150, Math.min(220, height)), pictured, function (frame) {
      if (pictured.has(frame)) shared.openViewer(clip.name, frame);
    });
    new ResizeObserver(plot.resize).observe(box);
  }

  const seen = new IntersectionObserver(function (entries) {
    entries.filter((entry) => entry.isIntersecting).forEach(function (entry) {
      seen.unobserve(entry.target);
      replace(entry.target);
    });
  }, { rootMargin: "400px" });
  all(".curves figure").forEach((figure) => seen.observe(figure));
})();
