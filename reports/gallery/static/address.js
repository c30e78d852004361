// The state of page and viewer in the address, after the #: it can be sent, reloaded, and gone back to.
// Page: #sort=psnr,down&metric=ssim&scale=absolute&off=method&off=..   Viewer:
// #clip=..&frame=..&mode=wipe&show=..&with=..&methods=..&methods=..&zoom=8,120.5,60&crop=10,20,64,64&wipe=50&gain=4&blind=7
"use strict";
(function () {
  const DELAY = 200;  // milliseconds; browsers refuse many changes of the address in a short time
  let waiting = null;

  const numbers = (text, count) => {
    const found = (text || "").split(",").map(Number);
    return found.length === count && found.every(Number.isFinite) ? found : null;
  };

  /** The state in the address, null where there is none. Whatever is missing or damaged is left out. */
  function read() {
    const query = new URLSearchParams(window.location.hash.slice(1));
    if (!query.has("clip")) return null;
    const state = { clip: query.get("clip"), frame: query.get("frame"), mode: query.get("mode") || "flip" };
    state.show = query.get("show");
    state.with = query.get("with");
    state.curve = query.get("curve");
    state.methods = query.has("methods") ? query.getAll("methods") : null;
    const zoom = numbers(query.get("zoom"), 3), crop = numbers(query.get("crop"), 4);
    state.zoom = zoom && zoom[0] > 0 ? { scale: zoom[0], x: zoom[1], y: zoom[2] } : null;
    state.crop = crop && crop[2] > 0 && crop[3] > 0 ? { x: crop[0], y: crop[1], width: crop[2], height: crop[3] } : null;
    for (const name of ["wipe", "gain", "blind", "film"]) state[name] = query.has(name) ? numbers(query.get(name), 1)?.[0] ?? null : null;
    return state;
  }

  /** What the address says of the page beside the viewer: sort, metric and scale as texts or null, off as labels. */
  function page() {
    const query = new URLSearchParams(window.location.hash.slice(1));
    return { sort: query.get("sort"), metric: query.get("metric"), scale: query.get("scale"), off: query.getAll("off") };
  }

  let shown = page();  // of the page, written with every state of the viewer

  /** The page's part changes: { sort, metric, scale or off }. */
  function note(change) {
    Object.assign(shown, change);
    const now = read();
    write(now, false);
  }

  function pageQuery(query) {
    for (const name of ["sort", "metric", "scale"]) if (shown[name]) query.set(name, shown[name]);
    shown.off.forEach((label) => query.append("off", label));
    return query.size ? "#" + query : "";
  }

  function text(state) {
    const query = new URLSearchParams({ clip: state.clip, frame: state.frame, mode: state.mode });
    const round = (value) => String(Math.round(value * 100) / 100);
    if (state.curve) query.set("curve", state.curve);
    if (state.show) query.set("show", state.show);
    if (state.with) query.set("with", state.with);
    (state.methods || []).forEach((label) => query.append("methods", label));
    if (state.zoom) query.set("zoom", [state.zoom.scale, state.zoom.x, state.zoom.y].map((value) => String(Math.round(value * 10000) / 10000)).join(","));
    if (state.crop) query.set("crop", [state.crop.x, state.crop.y, state.crop.width, state.crop.height].join(","));
    for (const name of ["wipe", "gain", "blind", "film"]) if (state[name] !== null && state[name] !== undefined) query.set(name, round(state[name]));
    return pageQuery(query);
  }

  /** Writes the state (null: none). `push` makes a step to go back to; otherwise the address follows after a moment. */
  function write(state, push) {
    clearTimeout(waiting);
    const wanted = state ? text(state) : window.location.pathname + window.location.search + pageQuery(new URLSearchParams());
    if (push) window.history.pushState(null, "", wanted);
    else waiting = setTimeout(() => window.history.replaceState(null, "", wanted), DELAY);
  }

  window.deblurbench.address = { read, write, note, page };
})();
