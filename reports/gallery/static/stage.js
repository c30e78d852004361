// The stage: panes that show pictures under one zoom and pan; the wipe, the pixel grid, and drawing a crop.
// It knows pictures (source, width, height) and nothing of methods or clips.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { make } = shared;
  const MAX_SCALE = 64, GRID_FROM = 12, GRIP = 24;  // screen pixels

  /**
   * `on` is called with what a person does: view(), wipe(percent), crop(rectangle or null while drawing), and
   * point({ x, y } in whole picture pixels, or null outside).
   */
  shared.makeStage = function (box, on) {
    const view = { scale: null, x: 0, y: 0 };  // screen pixels per picture pixel (null: fit), picture point at the centre
    let panes = [], slider = null, size = { width: 1, height: 1 }, crop = null, drawing = false, edge = 50;

    // Building panes

    function pane() {
      const one = make("img", { className: "one", alt: "", decoding: "sync", draggable: false });
      const two = make("img", { className: "two", alt: "", decoding: "sync", draggable: false, hidden: true });
      const films = ["one", "two"].map((name) => make("canvas", { className: name, hidden: true }));
      const plane = make("div", { className: "plane" }, one, films[0], two, films[1]);
      const grid = make("div", { className: "pixels", hidden: true }), frame = make("div", { className: "cropped", hidden: true });
      const tag = make("span", { className: "tag" });
      const element = make("div", { className: "pane" }, plane, grid, frame, tag);
      return { element, plane, one, two, films, grid, frame, tag };
    }

    let now = [];  // the pictures on the stage

    function layout(mode, count) {
      const wanted = mode === "wipe" ? "wipe" : "grid" + count;
      if (box.dataset.layout === wanted) return;
      box.dataset.layout = wanted;
      panes = Array.from({ length: mode === "wipe" ? 2 : count }, pane);
      slider = mode === "wipe" ? wiper(panes) : null;
      box.replaceChildren(...(slider ? [slider] : panes.map((p) => p.element)));
    }

    /** The vendored slider, with the role, values and keys that it lacks. */
    function wiper(/** @type {any[]} */ [left, right]) {
      const grip = make("div", { className: "grip" });
      grip.slot = "handle";
      left.element.slot = "first";
      right.element.slot = "second";
      right.tag.classList.add("right");
      /** @type {any} */
      const element = document.createElement("img-comparison-slider");
      element.value = edge;  // before it is connected: it then reports its value as if a person had moved it
      element.setAttribute("handle", "true");
      element.setAttribute("keyboard", "disabled");
      element.setAttribute("role", "slider");
      element.setAttribute("aria-valuemin", "0");
      element.setAttribute("aria-valuemax", "100");
      element.append(left.element, right.element, grip);
      element.addEventListener("slide", () => { edge = element.value; describe(); on.wipe(edge); });
      element.addEventListener("keydown", function (event) {
        const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -100, End: 100 }[event.key];
        if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        event.stopPropagation();
        wipe(edge + step);
        on.wipe(edge);
      });
      if (window.matchMedia("(prefers-reduced-motion: reduce)").matches && element.shadowRoot) {
        const still = new CSSStyleSheet();
        still.replaceSync("* { transition: none !important; }");
        element.shadowRoot.adoptedStyleSheets = [...element.shadowRoot.adoptedStyleSheets, still];
      }
      return element;
    }

    function describe() {
      if (!slider) return;
      slider.setAttribute("aria-valuenow", String(Math.round(edge)));
      slider.setAttribute("aria-label", "Wipe between " + panes[0].tag.textContent + " and " + panes[1].tag.textContent);
      slider.setAttribute("aria-valuetext", Math.round(edge) + " % " + panes[0].tag.textContent);
    }

    // Showing

    /** Shows a shot's picture, or its frame of a film, in one of the two layers; nothing for null. */
    function set(image, film, shot, alt) {
      image.hidden = !shot || Boolean(shot.bitmap);
      film.hidden = !shot || !shot.bitmap;
      if (!shot) return;
      if (shot.bitmap) {
        if (film.width !== shot.width || film.height !== shot.height) Object.assign(film, { width: shot.width, height: shot.height });
        film.getContext("2d").drawImage(shot.bitmap, 0, 0);
        film.setAttribute("aria-label", alt);
        return;
      }
      if (image.getAttribute("src") !== shot.source) image.src = shot.source;
      Object.assign(image, { width: shot.width, height: shot.height, alt });
    }

    /** `contents`: one { shot, against (or null), text } a pane. `mode`: flip, wipe, side, difference, error or maps (errors side by side). */
    function show(mode, contents, gain) {
      layout(mode, contents.length);
      size = contents[0].shot;
      now = contents.flatMap((c) => (c.against ? [c.shot, c.against] : [c.shot]));
      panes.forEach(function (p, place) {
        const { shot, against, text } = contents[place];
        set(p.one, p.films[0], shot, text);
        set(p.two, p.films[1], against, "");
        p.tag.textContent = text;
        p.plane.classList.toggle("blended", Boolean(against));
        p.plane.style.filter = { difference: "brightness(" + gain + ")", error: "url(#viewer-heat)", maps: "url(#viewer-heat)" }[mode] || "";
      });
      if (slider) slider.value = edge;
      describe();
      place();
    }

    function columns() {
      if (panes.length === 1) return 1;
      const { clientWidth: width, clientHeight: height } = box;
      const scale = (n) => Math.min(width / n / size.width, height / Math.ceil(panes.length / n) / size.height);
      const counts = panes.map((p, i) => i + 1);
      return counts.reduce((best, n) => (scale(n) > scale(best) * 1.001 ? n : best), 1);
    }

    /** Puts every picture where zoom and pan say. */
    function place() {
      if (!panes.length || !box.clientWidth) return;
      if (slider) panes.forEach((p) => { p.element.style.width = box.clientWidth + "px"; p.element.style.height = box.clientHeight + "px"; });
      else box.style.setProperty("--columns", String(columns()));
      panes.forEach(placePane);
    }

    function placePane(p) {
      const { clientWidth: width, clientHeight: height } = p.element;
      const scale = view.scale || fit(p);
      const x = width / 2 - (view.scale ? view.x : size.width / 2) * scale;
      const y = height / 2 - (view.scale ? view.y : size.height / 2) * scale;
      p.plane.style.width = size.width + "px";
      p.plane.style.height = size.height + "px";
      p.plane.style.transform = "translate(" + x + "px," + y + "px) scale(" + scale + ")";
      p.plane.classList.toggle("magnified", scale * window.devicePixelRatio > 1);
      p.grid.hidden = scale < GRID_FROM;
      if (!p.grid.hidden) gridLines(p.grid, x, y, scale, width, height);
      p.frame.hidden = !crop;
      if (crop) rectangle(p.frame, x + crop.x * scale, y + crop.y * scale, crop.width * scale, crop.height * scale);
    }

    function rectangle(element, x, y, width, height) {
      Object.assign(element.style, { left: x + "px", top: y + "px", width: width + "px", height: height + "px" });
    }

    function gridLines(element, x, y, scale, width, height) {
      const left = Math.max(0, x), top = Math.max(0, y);
      const right = Math.min(width, x + size.width * scale), bottom = Math.min(height, y + size.height * scale);
      rectangle(element, left, top, Math.max(0, right - left), Math.max(0, bottom - top));
      element.style.backgroundSize = scale + "px " + scale + "px";
      element.style.backgroundPosition = x - left + "px " + (y - top) + "px";
    }

    // Zoom and pan

    function fit(p) {
      const element = (p || panes[0]).element;
      const scale = Math.min(element.clientWidth / size.width, element.clientHeight / size.height) || 1;
      return scale;
    }

    const bound = (value, low, high) => Math.min(high, Math.max(low, value));

    /** Zooms by `factor`; the picture point under (x, y), screen pixels from the pane's centre, stays where it is. */
    function zoom(factor, x = 0, y = 0) {
      const before = view.scale || fit();
      if (!view.scale) Object.assign(view, { x: size.width / 2, y: size.height / 2 });
      const least = Math.min(fit(), 1 / window.devicePixelRatio), after = bound(before * factor, least, MAX_SCALE);
      if (Math.abs(after / fit() - 1) < 0.0001 || (before > fit() && after < fit())) view.scale = null;
      else Object.assign(view, { scale: after, x: view.x + x / before - x / after, y: view.y + y / before - y / after });
      moved();
    }

    /** "fit" the whole picture, "fill" the stage with it, or "actual": one pixel of the picture a pixel of the screen. */
    function resize(name) {
      const { clientWidth: width, clientHeight: height } = panes[0].element;
      const scale = { fit: null, fill: Math.max(width / size.width, height / size.height), actual: 1 / window.devicePixelRatio }[name];
      Object.assign(view, { scale, x: size.width / 2, y: size.height / 2 });
      moved();
    }

    function pan(x, y) {
      if (!view.scale) return;
      view.x -= x / view.scale;
      view.y -= y / view.scale;
      moved();
    }

    function moved() {
      view.x = bound(view.x, 0, size.width);
      view.y = bound(view.y, 0, size.height);
      place();
      on.view();
    }

    function wipe(percent) {
      edge = bound(percent, 0, 100);
      if (slider) { slider.value = edge; describe(); }
    }

    // Pointers: one drags (or draws the crop), two pinch

    const pointers = new Map();
    let start = null;

    function paneAt(event) {
      const found = panes.find((p) => p.element === event.target.closest(".pane"));
      const p = found || panes[0], area = p.element.getBoundingClientRect();
      const x = event.clientX - area.left - area.width / 2, y = event.clientY - area.top - area.height / 2;
      const scale = view.scale || fit(p);
      const centre = view.scale ? view : { x: size.width / 2, y: size.height / 2 };
      return { x, y, picture: { x: centre.x + x / scale, y: centre.y + y / scale } };
    }

    box.addEventListener("wheel", function (event) {
      event.preventDefault();
      const at = paneAt(event);
      zoom(Math.exp(-event.deltaY / 300), at.x, at.y);
    }, { passive: false });

    box.addEventListener("pointerdown", function (event) {
      if (event.button) return;
      const along = event.clientX - box.getBoundingClientRect().left - box.clientWidth * edge / 100;
      if (slider && !drawing && Math.abs(along) < GRIP) return;  // the slider's own handle
      pointers.set(event.pointerId, event);
      box.setPointerCapture(event.pointerId);
      start = drawing ? paneAt(event) : null;
      if (start) start.moved = (later) => between(start.picture, start, event, later);
    });

    /** The rectangle from where the drag began to where it is now, in whole picture pixels. */
    function between(from, begun, first, later) {
      const scale = view.scale || fit();
      const to = { x: from.x + (later.clientX - first.clientX) / scale, y: from.y + (later.clientY - first.clientY) / scale };
      const x = Math.floor(bound(Math.min(from.x, to.x), 0, size.width)), y = Math.floor(bound(Math.min(from.y, to.y), 0, size.height));
      const right = Math.ceil(bound(Math.max(from.x, to.x), 0, size.width)), bottom = Math.ceil(bound(Math.max(from.y, to.y), 0, size.height));
      return { x, y, width: right - x, height: bottom - y };
    }

    box.addEventListener("pointermove", function (event) {
      const last = pointers.get(event.pointerId);
      if (!last) { point(event); return; }
      if (start) { crop = start.moved(event); place(); return; }
      if (pointers.size === 2) pinch(event, last);
      else pan(event.clientX - last.clientX, event.clientY - last.clientY);
      pointers.set(event.pointerId, event);
    });

    function point(event) {
      if (event.pointerType === "touch" || !panes.length) return;
      const { picture } = paneAt(event), x = Math.floor(picture.x), y = Math.floor(picture.y);
      on.point(x >= 0 && y >= 0 && x < size.width && y < size.height ? { x, y } : null);
    }
    box.addEventListener("pointerleave", () => on.point(null));

    function pinch(event, last) {
      const other = [...pointers.values()].find((p) => p.pointerId !== event.pointerId);
      const distance = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY) || 1;
      const area = box.getBoundingClientRect();
      const x = (event.clientX + other.clientX) / 2 - area.left - area.width / 2;
      const y = (event.clientY + other.clientY) / 2 - area.top - area.height / 2;
      zoom(distance(event) / distance(last), x, y);
    }

    function release(event) {
      if (!pointers.delete(event.pointerId) || !start) return;
      start = null;
      on.crop(crop && crop.width > 1 && crop.height > 1 ? crop : null);
    }
    box.addEventListener("pointerup", release);
    box.addEventListener("pointercancel", release);
    new ResizeObserver(place).observe(box);

    return {
      show, zoom, pan, wipe, place, resize, shown: () => [...new Set(now)],
      get view() { return view.scale ? { scale: view.scale, x: view.x, y: view.y } : null; },
      set view(wanted) { Object.assign(view, wanted || { scale: null }); place(); },
      get edge() { return edge; },
      set crop(wanted) { crop = wanted; place(); },
      set drawing(wanted) { drawing = wanted; box.classList.toggle("drawing", wanted); },
    };
  };
})();
