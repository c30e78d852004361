// Insets: the same crop of every method side by side, and ways to take it along as a figure.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { data, make, copy, readPixels } = shared;
  const NAMES = ["x", "y", "width", "height"];
  const SVG = "http://www.w3.org/2000/svg";

  const quote = (text) => (/^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : "'" + text.replace(/'/g, "'\\''") + "'");

  /** Where a run lies: from the disk its full path, else its name. */
  function place(run) {
    if (window.location.protocol !== "file:" || !run.path) return run.name;
    const path = decodeURIComponent(new URL(run.path, window.location.href).pathname);
    return path.replace(/^\/([A-Za-z]:)/, "$1");
  }

  /** The commands that draw this crop for a paper, one a run. */
  function commands(clip, frame, crop) {
    const area = NAMES.map((name) => crop[name]).join(",");
    return data.runs.map((run) => ["deblurbench", "figure", quote(place(run)), "--clip", quote(clip), "--frame", quote(frame), "--crop", area].join(" ")).join("\n");
  }

  /** `panel` is the side panel's part; `on.change(crop or null)` is called when a person changes the numbers. */
  shared.makeCrops = function (panel, on) {
    const find = (name) => panel.querySelector("[data-crop=" + name + "]");
    const fields = NAMES.map(find), list = find("list");
    let now = null;  // { crop, shots, clip, frame, size }

    function show(next) {
      now = next;
      panel.hidden = !now;
      if (!now) return;
      const { crop, shots, size } = now;
      fields.forEach((field, n) => { if (document.activeElement !== field) field.value = String(crop[NAMES[n]]); });
      [fields[0].max, fields[1].max, fields[2].max, fields[3].max] = [size.width - 1, size.height - 1, size.width, size.height].map(String);
      list.replaceChildren(...shots.map((entry) => inset(entry, crop)));
      find("export").hidden = now.blind;
      if (!now.blind) find("command").textContent = commands(now.clip, now.frame, crop);
    }

    function inset({ shot, title, value }, crop) {
      const image = make("img", { src: shot.source, alt: title + ", crop", width: shot.width, height: shot.height, decoding: "sync" });
      const glass = make("div", { className: "glass" }, image);
      const caption = make("figcaption", {}, make("span", {}, title), make("span", { className: "score" }, value));
      const width = list.clientWidth < 300 ? list.clientWidth : (list.clientWidth - 10) / 2;
      const scale = Math.max(40, width) / crop.width;
      glass.style.height = crop.height * scale + "px";
      image.style.transform = "scale(" + scale + ") translate(" + -crop.x + "px," + -crop.y + "px)";
      image.classList.toggle("magnified", scale > 1);
      const own = make("span", { className: "score own" });
      caption.append(own);
      measure(shot, crop, own);
      return make("figure", {}, glass, caption);
    }

    /** The PSNR of the crop alone, where there is a ground truth to compare with and its pixels can be read. */
    async function measure(shot, crop, own) {
      const truth = now.shots.map((s) => s.shot).find((s) => s.kind === "truth");
      if (!truth || now.blind) return;
      const value = shot === truth ? Infinity : await readPixels.psnr(shot, truth, crop);
      if (value !== null) own.textContent = "crop " + (value === Infinity ? "∞" : value.toFixed(2) + " dB");
    }

    function typed() {
      const limit = (value, low, high) => Math.min(high, Math.max(low, Math.round(value) || 0));
      const [x, y, width, height] = fields.map((field) => Number(field.value));
      const crop = { x: limit(x, 0, now.size.width - 2), y: limit(y, 0, now.size.height - 2) };
      crop.width = limit(width, 2, now.size.width - crop.x);
      crop.height = limit(height, 2, now.size.height - crop.y);
      on.change(crop);
    }

    // The figure as SVG or PNG, with the pixels inside it.

    function element(tag, attributes, ...children) {
      const found = document.createElementNS(SVG, tag);
      Object.entries(attributes).forEach(([name, value]) => found.setAttribute(name, String(value)));
      found.append(...children);
      return found;
    }

    const picture = (href, x, y, width, height) => element("image", { href, x, y, width, height, preserveAspectRatio: "none", "image-rendering": "pixelated" });

    /** { text, width, height } of the figure; null where the pixels of a picture cannot be read. */
    async function figure() {
      const { crop, shots, size } = now, cell = 180, gap = 8, line = 16, whole = { x: 0, y: 0, width: size.width, height: size.height };
      const last = shots[shots.length - 1].shot;
      const [overview, ...parts] = await Promise.all([readPixels.png(last, whole), ...shots.map((s) => readPixels.png(s.shot, crop))]);
      if (![overview, ...parts].every(Boolean)) return null;
      const high = Math.round(cell * crop.height / crop.width), across = Math.min(shots.length, 6);
      const rows = Math.ceil(shots.length / across), wide = Math.max(across, 3) * (cell + gap) - gap;
      const tall = Math.round(wide * 0.5 * size.height / size.width), top = tall + gap * 2;
      const total = top + rows * (high + line * 2 + gap), scale = wide * 0.5 / size.width, left = wide * 0.25;
      const root = element("svg", { xmlns: SVG, width: wide, height: total, viewBox: "0 0 " + wide + " " + total, "font-family": "sans-serif", "font-size": 12, "text-anchor": "middle" });
      root.append(element("rect", { width: wide, height: total, fill: "#fff" }), picture(overview, left, 0, wide * 0.5, tall));
      root.append(element("rect", { x: left + crop.x * scale, y: crop.y * scale, width: crop.width * scale, height: crop.height * scale, fill: "none", stroke: "#ffd000", "stroke-width": 1.5 }));
      shots.forEach(function ({ title, value }, n) {
        const x = (n % across) * (cell + gap), y = top + Math.floor(n / across) * (high + line * 2 + gap);
        root.append(picture(parts[n], x, y, cell, high));
        root.append(element("text", { x: x + cell / 2, y: y + high + line - 2 }, title), element("text", { x: x + cell / 2, y: y + high + line * 2 - 3 }, value));
      });
      return { text: new XMLSerializer().serializeToString(root), width: wide, height: total };
    }

    async function save(kind) {
      const name = "crop-" + [now.clip, now.frame].join("-").replace(/[^A-Za-z0-9.-]+/g, "-") + "." + kind, made = await figure();
      find("refused").hidden = Boolean(made);
      if (!made) return;
      const blob = kind === "png" ? await shared.rasterise(made) : new Blob([made.text], { type: "image/svg+xml" });
      shared.save(blob, name, panel);
    }

    fields.forEach((field) => field.addEventListener("change", typed));
    find("remove").addEventListener("click", () => on.change(null));
    find("save").addEventListener("click", () => save("svg"));
    find("save-png").addEventListener("click", () => save("png"));
    find("copy").addEventListener("click", (event) => copy(find("command").textContent, event.target));
    return { show };
  };
})();
