// Per-frame curves, drawn by uPlot: on the page in place of the printed drawings, and under the viewer.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { data, all, make, show } = shared;
  if (!window.uPlot) return;
  const MARKS = 9;  // markers on a curve
  const BEST = 3;  // curves in colour beside the reference, unless all are asked for
  const hidden = new Set();  // labels switched off by the legend
  const reference = data.methods.findIndex((method) => method.reference);
  const view = { scale: "gain", colour: "best", looked: null };  // looked: the label that the pointer asks for

  /** Values less those of the reference, "inf" and gaps as gaps. */
  function gains(values, base) {
    return values.map((value, place) => (typeof value === "number" && typeof base[place] === "number" ? value - base[place] : null));
  }

  /** Whether a method is drawn in its colour: the reference, the best three, and what a person asks for. */
  function coloured(method) {
    return view.colour === "all" || method.reference || method.label === view.looked || data.best.slice(0, BEST).includes(method.label) || data.methods.length <= BEST + 1;
  }

  /**
   * Draws one metric of one clip into `box`. `pictured` is the set of frames with a picture, `pick(frame)` is called on
   * a click. Returns { mark(frame), resize(), destroy() }.
   */
  function draw(box, clip, metric, height, pictured, pick) {
    const values = clip.values[metric.key], base = reference < 0 ? null : values[reference];
    const shown = data.methods.map((method, place) => ({ method, values: values[place], gains: values[place] && base && gains(values[place], base) })).filter((s) => s.values);
    const tip = make("div", { className: "tip", hidden: true });
    let plot = null, marked = null, colours = null;
    const relative = () => view.scale === "gain" && base && shown.length > 1;

    function options() {
      colours = look(box);
      return {
        width: Math.max(120, box.clientWidth), height, legend: { show: false }, padding: [10, 8, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: false, range: (u, low, high) => [low - 0.5, Math.max(high, low + 1) + 0.5] }, y: { range: (u, low, high) => padded(low, high) } },
        axes: [axis(frameAxis(clip, colours)), axis({ size: 50, grid: { stroke: colours.grid, width: 1 } })],
        series: [{}, ...shown.map(line)],
        hooks: { draw: [paint], setCursor: [point] },
      };
    }

    function axis(own) {
      return Object.assign({ stroke: colours.text, font: "11px system-ui, sans-serif", ticks: { show: false } }, own);
    }

    function line({ method }, number) {
      const stroke = coloured(method) ? colours.series[method.colour] : colours.faint;
      return {
        stroke, width: coloured(method) ? 2 : 1.25, dash: method.dash, show: !hidden.has(method.label),
        points: { show: (u, series) => { if (coloured(method)) marks(u, series, method, stroke, number); return false; } },
      };
    }

    /** A method's markers on its curve, the same as everywhere else. */
    function marks(u, series, method, stroke, number) {
      const { ctx } = u, ratio = window.devicePixelRatio || 1, path = new Path2D(method.marker), step = Math.max(1, Math.floor(clip.frames.length / MARKS));
      for (let place = Math.floor(number * step / 3) % step; place < clip.frames.length; place += step) {
        const value = u.data[series][place];
        if (value === null || value === undefined) continue;
        ctx.save();
        ctx.translate(u.valToPos(place, "x", true), u.valToPos(value, "y", true));
        ctx.scale(7 * ratio, 7 * ratio);
        if (method.open) { ctx.strokeStyle = stroke; ctx.lineWidth = 0.25; ctx.setLineDash([]); ctx.stroke(path); } else { ctx.fillStyle = stroke; ctx.fill(path); }
        ctx.restore();
      }
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
        if (value !== "inf" || hidden.has(entry.method.label)) return;
        ctx.fillStyle = colours.series[entry.method.colour];
        ctx.fillText("∞", u.valToPos(place, "x", true) - 5 * ratio, bbox.top + 10 * ratio);
      }));
      ctx.restore();
    }

    function point(u) {
      const place = u.cursor.idx;
      tip.hidden = place === null || place === undefined || u.cursor.left < 0;
      if (tip.hidden) return;
      const listed = shown.filter((s) => !hidden.has(s.method.label) && (coloured(s.method) || shown.length <= 8));
      const lines = listed.map(function (s) {
        const key = shared.swatch(s.method), gain = relative() && !s.method.reference ? s.gains[place] : null;
        const words = gain === null ? "" : " (" + (gain < 0 ? "−" : "+") + show(metric, Math.abs(gain)) + ")";
        return make("span", {}, key, s.method.label, make("b", {}, show(metric, s.values[place]) + words));
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
      const finite = shown.map((s) => (relative() ? s.gains : s.values.map((value) => (value === "inf" ? null : value))));
      plot = new window.uPlot(options(), [x, ...finite], box);
      plot.root.append(tip);
      box.dataset.scale = relative() ? "gain" : "absolute";
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
    document.addEventListener("plotview", build);
    dark.addEventListener("change", build);
    build();
    return {
      mark(frame) { marked = frame; plot.redraw(false); },
      resize() { plot.setSize({ width: Math.max(120, box.clientWidth), height }); },
      destroy() {
        document.removeEventListener("togglemethod", toggle);
        document.removeEventListener("plotview", build);
        dark.removeEventListener("change", build);
        plot.destroy();
      },
    };
  }

  document.addEventListener("togglemethod", function (/** @type {any} */ event) {
    if (event.detail.shown) hidden.delete(event.detail.label); else hidden.add(event.detail.label);
  });

  // What all curves share: the scale, and which of them are in colour

  function change(values) {
    Object.assign(view, values);
    document.dispatchEvent(new CustomEvent("plotview"));
  }

  /** "gain" over the reference, or "absolute" values. */
  function chooseScale(name) {
    if (!["gain", "absolute"].includes(name)) return;
    all("[data-scale]").forEach((button) => { if (button.tagName === "BUTTON") button.setAttribute("aria-pressed", String(button.dataset.scale === name)); });
    all("[data-scaled]").forEach((figure) => { figure.hidden = figure.dataset.scaled !== name; });
    change({ scale: name });
  }
  all("button[data-scale]").forEach((button) => button.addEventListener("click", function () {
    chooseScale(button.dataset.scale);
    shared.address.note({ scale: button.dataset.scale === "gain" ? null : button.dataset.scale });
  }));
  const colour = all("[data-colour]");
  colour.forEach((button) => button.addEventListener("click", () => { shared.press(colour, button); change({ colour: button.dataset.colour }); }));
  all("[data-toggle]").forEach(function (button) {
    const own = data.methods.find((method) => method.label === button.dataset.toggle);
    const ask = (label) => { if (view.looked !== label && (label === null || !own || !coloured(own))) change({ looked: label }); };
    for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => ask(button.dataset.toggle));
    for (const name of ["pointerleave", "blur"]) button.addEventListener(name, () => ask(null));
  });
  shared.chooseScale = chooseScale;

  /** Room below and above the curves: marks of pictures stand at the lower edge. */
  function padded(low, high) {
    if (low === null || high === null) return [0, 1];
    const room = (high - low) * 0.1 || Math.abs(high) * 0.01 || 0.5;
    return [low - 1.5 * room, high + room];
  }

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
    return { series, text: colour("--soft"), grid: colour("--rule"), accent: colour("--accent"), faint: colour("--faint") };
  }

  shared.drawCurve = draw;

  // On the page: a place becomes a plot when it comes into view, and follows the width of its box.
  function replace(figure) {
    const clip = data.clips.find((c) => c.name === figure.dataset.clip);
    const metric = data.metrics.find((m) => m.key === figure.dataset.metric);
    const box = make("div", { className: "plotted", role: "img" });
    box.setAttribute("aria-label", metric.label + " of each scored frame of clip " + clip.name);
    figure.append(box);
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
  document.documentElement.classList.add("scripts");
  all(".curves figure").forEach((figure) => seen.observe(figure));
})();
