// The viewer: one frame, all methods in place, wipe, error map, zoom and pan. Reads the pictures that the page shows.
"use strict";
(function () {
  const dialog = document.getElementById("viewer");
  if (!dialog || !dialog.showModal) return;
  const id = (name) => document.getElementById("viewer-" + name);
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const stage = id("stage"), plane = id("plane"), one = id("a"), two = id("b"), line = id("line");
  const GAIN = 4, MAX_SCALE = 64;

  const clips = [];
  all("figure.shot").forEach(function (figure) {
    const data = figure.dataset, image = figure.querySelector("img");
    let clip = clips.find((c) => c.name === data.clip);
    if (!clip) clips.push(clip = { name: data.clip, frames: [] });
    let frame = clip.frames.find((f) => f.name === data.frame);
    if (!frame) clip.frames.push(frame = { name: data.frame, shots: [] });
    frame.shots.push({
      label: data.label, title: data.title, value: data.value, kind: data.kind, figure,
      source: image.getAttribute("src"), width: Number(image.getAttribute("width")), height: Number(image.getAttribute("height")),
    });
  });

  const now = { clip: 0, frame: 0, left: "", right: "", mode: "flip", wipe: 50, zoom: null, x: 0, y: 0, held: false };
  const clip = () => clips[now.clip];
  const frame = () => clip().frames[now.frame];
  const shot = (label) => frame().shots.find((s) => s.label === label) || frame().shots[0];
  const truth = () => frame().shots.find((s) => s.kind === "truth");

  function fit() {
    const s = frame().shots[0];
    const scale = Math.min(stage.clientWidth / s.width, stage.clientHeight / s.height) || 1;
    return scale > 1 ? Math.floor(scale) : scale;  // whole multiples, so that every pixel is shown equally large
  }

  function place() {
    const s = frame().shots[0], scale = now.zoom || fit();
    if (now.zoom === null) {
      now.x = (stage.clientWidth - s.width * scale) / 2;
      now.y = (stage.clientHeight - s.height * scale) / 2;
    }
    plane.style.transform = "translate(" + now.x + "px," + now.y + "px) scale(" + scale + ")";
    plane.style.width = s.width + "px";
    plane.style.height = s.height + "px";
    plane.classList.toggle("magnified", scale * window.devicePixelRatio > 1);
    id("zoom").textContent = now.zoom === null ? "fit" : Math.round(scale * 100) + " %";
    wipe(scale, s.width);
  }

  function wipe(scale, width) {
    const wiping = now.mode === "wipe";
    line.hidden = !wiping;
    if (!wiping) { two.style.clipPath = ""; return; }
    const edge = stage.clientWidth * now.wipe / 100;
    const inside = Math.min(width, Math.max(0, (edge - now.x) / scale));
    two.style.clipPath = "inset(0 0 0 " + inside + "px)";
    line.style.left = edge + "px";
  }

  function caption(s) { return s.title + (s.value ? "  " + s.value : ""); }

  function set(image, s) {
    if (image.getAttribute("src") !== s.source) image.src = s.source;
    image.width = s.width;
    image.height = s.height;
  }

  function draw() {
    const reference = truth();
    if (now.mode === "error" && !reference) now.mode = "flip";
    const left = now.held && reference && now.mode === "flip" ? reference : shot(now.left);
    const right = now.mode === "error" ? reference : shot(now.right);
    const both = now.mode !== "flip";
    set(one, left);
    two.hidden = !both;
    if (both) set(two, right);
    plane.classList.toggle("error", now.mode === "error");
    id("clip").textContent = clip().name;
    id("frame").textContent = "frame " + frame().name + " · " + (now.frame + 1) + " of " + clip().frames.length;
    id("tag-a").textContent = caption(left) + (now.mode === "error" ? "  |difference to ground truth| × " + GAIN : "");
    id("tag-b").textContent = now.mode === "wipe" ? caption(right) : "";
    id("tag-b").hidden = now.mode !== "wipe";
    id("wiper").hidden = id("second").hidden = now.mode !== "wipe";
    all("[data-do=flip],[data-do=wipe],[data-do=error]", dialog).forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.do === now.mode)));
    dialog.querySelector("[data-do=error]").disabled = !reference;
    buttons(left);
    stage.setAttribute("aria-label", caption(left) + ", clip " + clip().name + ", frame " + frame().name);
    place();
  }

  function buttons(left) {
    const bar = id("methods"), select = id("right"), shots = frame().shots;
    if (bar.dataset.for !== shots.map((s) => s.source).join("\n")) {
      bar.dataset.for = shots.map((s) => s.source).join("\n");
      bar.replaceChildren(...shots.map(choice));
      select.replaceChildren(...shots.map(function (s) { const o = document.createElement("option"); o.value = s.label; o.textContent = s.title; return o; }));
    }
    select.value = shot(now.right).label;
    all("button", bar).forEach((b, place) => b.setAttribute("aria-pressed", String(shots[place] === left)));
  }

  function choice(s, place) {
    const button = document.createElement("button"), score = document.createElement("span");
    button.type = "button";
    if (place < 9) { const kbd = document.createElement("kbd"); kbd.textContent = String(place + 1); button.append(kbd); }
    score.className = "score";
    score.textContent = s.value;
    button.append(s.title, score);
    button.addEventListener("click", () => flip(place));
    return button;
  }

  function flip(place) {
    const s = frame().shots[place];
    if (!s) return;
    now.left = s.label;
    draw();
    id("says").textContent = caption(s);
  }

  function step(frames, clipsOn) {
    if (clipsOn) { now.clip = (now.clip + clipsOn + clips.length) % clips.length; now.frame = Math.min(now.frame, clip().frames.length - 1); now.zoom = null; }
    now.frame = (now.frame + frames + clip().frames.length) % clip().frames.length;
    draw();
    id("says").textContent = "clip " + clip().name + ", frame " + frame().name;
  }

  function mode(name) { now.mode = now.mode === name ? "flip" : name; draw(); }

  function zoom(factor, x, y) {
    const before = now.zoom || fit();
    const after = Math.min(MAX_SCALE, Math.max(fit(), before * factor));
    x = x === undefined ? stage.clientWidth / 2 : x;
    y = y === undefined ? stage.clientHeight / 2 : y;
    now.x = x - (x - now.x) * after / before;
    now.y = y - (y - now.y) * after / before;
    now.zoom = after <= fit() * 1.0001 ? null : after;
    place();
  }

  function slide(percent) {
    now.wipe = Math.min(100, Math.max(0, percent));
    id("slider").value = String(now.wipe);
    place();
  }

  function open(figure) {
    clips.forEach((c, i) => c.frames.forEach((f, j) => f.shots.forEach(function (s) {
      if (s.figure === figure) Object.assign(now, { clip: i, frame: j, left: s.label });
    })));
    const input = frame().shots.find((s) => s.kind === "input") || frame().shots[0];
    now.right = now.left === input.label ? (truth() || frame().shots[frame().shots.length - 1]).label : input.label;
    Object.assign(now, { mode: "flip", zoom: null, held: false });
    dialog.showModal();
    stage.focus();
    draw();
  }

  function help() {
    const box = id("help");
    box.hidden = !box.hidden;
    dialog.querySelector("[data-do=help]").setAttribute("aria-expanded", String(!box.hidden));
  }

  const actions = {
    previous: () => step(-1, 0), next: () => step(1, 0), flip: () => { now.mode = "flip"; draw(); }, wipe: () => mode("wipe"),
    error: () => mode("error"), in: () => zoom(1.5), out: () => zoom(1 / 1.5), help, close: () => dialog.close(),
  };
  const keys = {
    ArrowLeft: actions.previous, ArrowRight: actions.next, ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
    w: actions.wipe, e: actions.error, "+": actions.in, "=": actions.in, "-": actions.out,
    0: () => { now.zoom = null; place(); }, ",": () => slide(now.wipe - 2), ".": () => slide(now.wipe + 2), "?": help,
  };

  all("figure.shot .open").forEach((button) => button.addEventListener("click", () => open(button.parentElement)));
  all("[data-do]", dialog).forEach((button) => button.addEventListener("click", () => actions[button.dataset.do]()));
  id("slider").addEventListener("input", (event) => slide(Number(event.target.value)));
  id("right").addEventListener("change", (event) => { now.right = event.target.value; draw(); });

  dialog.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Shift") { now.held = true; draw(); return; }
    if (["SELECT", "INPUT"].includes(event.target.tagName) && event.key.startsWith("Arrow")) return;
    const digit = /^Digit([1-9])$/.exec(event.code);
    if (digit && !event.shiftKey) { flip(Number(digit[1]) - 1); event.preventDefault(); return; }
    const action = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action) { action(); event.preventDefault(); }
  });
  dialog.addEventListener("keyup", (event) => { if (event.key === "Shift") { now.held = false; draw(); } });
  dialog.addEventListener("close", () => { now.held = false; shot(now.left).figure.querySelector(".open").focus(); });

  stage.addEventListener("wheel", function (event) {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });

  let drag = null;
  stage.addEventListener("pointerdown", function (event) {
    const box = stage.getBoundingClientRect();
    const edge = now.mode === "wipe" && Math.abs(event.clientX - box.left - stage.clientWidth * now.wipe / 100) < 16;
    drag = { x: event.clientX, y: event.clientY, edge: edge || (now.mode === "wipe" && now.zoom === null) };
    stage.setPointerCapture(event.pointerId);
    if (drag.edge) slide((event.clientX - box.left) / stage.clientWidth * 100);
  });
  stage.addEventListener("pointermove", function (event) {
    if (!drag) return;
    const box = stage.getBoundingClientRect();
    if (drag.edge) { slide((event.clientX - box.left) / stage.clientWidth * 100); return; }
    if (now.zoom === null) return;
    now.x += event.clientX - drag.x;
    now.y += event.clientY - drag.y;
    Object.assign(drag, { x: event.clientX, y: event.clientY });
    place();
  });
  ["pointerup", "pointercancel"].forEach((name) => stage.addEventListener(name, () => { drag = null; }));
  window.addEventListener("resize", () => { if (dialog.open) place(); });

  // A frame of the curves that has a picture opens it.
  all(".curves .band").forEach(function (band) {
    const name = band.closest("figure").dataset.clip;
    const found = clips.find((c) => c.name === name);
    const there = found && found.frames.find((f) => f.name === band.dataset.frame);
    if (!there) return;
    band.classList.add("pictured");
    band.addEventListener("click", () => open(there.shots[0].figure));
  });
})();
