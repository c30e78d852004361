// The viewer: which clip, frame and methods are shown, how, and by which keys.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { data, all, make, clips } = shared;
  const dialog = /** @type {HTMLDialogElement | null} */ (document.getElementById("viewer"));
  if (!dialog || !dialog.showModal) return;
  /** @type {(name: string) => any} */
  const id = (name) => document.getElementById("viewer-" + name);
  const MODES = ["flip", "wipe", "side", "difference", "error", "maps", "slice"], SPEEDS = [0.1, 0.25, 0.5, 1, 2], GAINS = [1, 2, 4, 8, 16];
  const STEP = 60;  // screen pixels that a key moves the picture
  const SIDE = 6;  // pictures side by side unless others are chosen

  const now = {
    clip: 0, frame: 0, show: "", with: null, methods: null, mode: "flip", gain: 4, crop: null, cropping: false,
    blind: null, revealed: false, held: false, notice: "", film: null, playing: false, row: 0,
  };
  const timer = shared.film.clock((place) => { now.frame = place; tick(); });
  const blind = shared.makeBlind(data.id);
  const stage = shared.makeStage(id("stage"), {
    view: () => { zoomText(); address(false); },
    wipe: () => address(false),
    crop: (crop) => { now.cropping = false; now.crop = crop || now.crop; draw(); },
    point: (place) => readout(place),
  });
  const pixels = shared.makePixels(id("readout"));
  const ballot = shared.makeBallot(blind, {
    clips, say: (text) => say(text), title: (s) => title(s), hiding: () => hiding(),
    here: () => ({ clip: now.clip, frame: now.frame, clipName: clip().name, frameName: frame().name, shots: shots() }),
    go(clipPlace, framePlace) { goTo(clipPlace, framePlace); now.show = shots()[0].label; },
    draw: () => draw(),
  });
  const crops = shared.makeCrops(id("crops"), { change: (crop) => { now.crop = crop; draw(); } });
  let curve = null;

  // What is shown

  const clip = () => clips[now.clip];
  const frames = () => now.film || clip().frames;  // of the film, or those with pictures
  const frame = () => frames()[now.frame];
  const hiding = () => now.blind !== null && !now.revealed;

  /** The frame's pictures in the order of their keys; shuffled with the ground truth last while names are hidden. */
  function shots() {
    const found = frame().shots;
    if (!hiding()) return found;
    const candidates = found.filter((s) => s.kind !== "truth");
    const order = blind.order(now.blind, clip().name, now.film ? "film" : frame().name, candidates.map((s) => s.label));
    return [...order.map((label) => candidates.find((s) => s.label === label)), ...found.filter((s) => s.kind === "truth")];
  }

  const truth = () => frame().shots.find((s) => s.kind === "truth");
  const input = () => frame().shots.find((s) => s.kind === "input") || frame().shots[0];
  const reference = () => truth() || input();
  const first = () => shots().find((s) => s.kind === "method") || shots()[0];
  const shot = (label) => frame().shots.find((s) => s.label === label) || first();

  /** The right side, or what a difference is taken to: as chosen, else the input or the reference, whichever tells more. */
  function second() {
    const chosen = frame().shots.find((s) => s.label === now.with);
    if (chosen) return chosen;
    if (hiding()) return shots().find((s) => s !== shot(now.show));
    return now.mode === "wipe" && shot(now.show) !== input() ? input() : reference();
  }

  function title(s) {
    return hiding() && s.kind !== "truth" ? "Method " + blind.letter(shots().indexOf(s)) : s.title;
  }
  const value = (s) => (hiding() ? "" : s.value);
  const caption = (s) => title(s) + (value(s) ? " · " + value(s) : "");

  /** The methods side by side: those chosen, else all up to six, else the input, the best four and the ground truth. */
  function beside() {
    const chosen = (now.methods || []).map((label) => frame().shots.find((s) => s.label === label)).filter(Boolean);
    if (chosen.length) return shots().filter((s) => chosen.includes(s));
    const every = shots();
    if (every.length <= SIDE) return every;
    const ranked = hiding() ? every : [...data.best.map((label) => every.find((s) => s.label === label)).filter(Boolean), ...every];
    const ends = every.filter((s) => s.kind !== "method" && (s.kind === "truth" || !hiding()));
    const best = [...new Set(ranked)].filter((s) => !ends.includes(s)).slice(0, SIDE - ends.length);
    return every.filter((s) => ends.includes(s) || best.includes(s));
  }

  function contents() {
    const main = now.held ? reference() : shot(now.show), other = second();
    if (now.mode === "wipe") return [main, other].map((s) => ({ shot: s, against: null, text: caption(s) }));
    if (now.mode === "side") return beside().map((s) => ({ shot: now.held ? reference() : s, against: null, text: caption(now.held ? reference() : s) }));
    if (now.mode === "slice") return beside().map((s) => ({ shot: shared.film.slice(now.film, s.label, now.row), against: null, text: title(s) + ", row " + now.row }));
    if (now.mode === "maps") return beside().filter((s) => s.kind !== "truth").map((s) => ({ shot: s, against: truth(), text: "Error of " + caption(s) }));
    if (now.mode === "difference") return [{ shot: main, against: other, text: title(main) + " − " + title(other) + ", × " + now.gain }];
    if (now.mode === "error") return [{ shot: main, against: truth(), text: "Error of " + caption(main) }];
    return [{ shot: main, against: null, text: caption(main) }];
  }

  // Drawing

  function draw() {
    if ((now.mode === "error" || now.mode === "maps") && !truth()) now.mode = "difference";
    if (now.mode === "slice" && !now.film) now.mode = "flip";
    id("notice").hidden = !now.notice;
    id("notice").textContent = now.notice;
    const shown = contents();
    stage.show(now.mode, shown, now.gain);
    stage.crop = now.crop;
    stage.drawing = now.cropping;
    id("stage").setAttribute("aria-label", shown.map((c) => c.text).join(", ") + ", clip " + clip().name + ", frame " + frame().name);
    controls();
    methods();
    side();
    if (curve) curve.mark(frame().name);
    zoomText();
    address(false);
    if (!now.film) preload();
  }

  /** The next frame of a film while it plays: the pictures and their names, not the controls. */
  function tick() {
    if (!now.film) return;
    stage.show(now.mode, contents(), now.gain);
    id("frame").value = String(now.frame);
    if (curve) curve.mark(frame().name);
  }

  function controls() {
    fill(id("clip"), clips.map((c, place) => [String(place), c.name]), String(now.clip));
    fill(id("frame"), frames().map((f, place) => [String(place), f.name + (f.why ? " · " + f.why : "")]), String(now.frame));
    all("[data-mode]", dialog).forEach((b) => b.setAttribute("aria-pressed", String(b.dataset.mode === now.mode)));
    all("[data-mode=error], [data-mode=maps]", dialog).forEach((b) => { b.disabled = !truth(); });
    dialog.querySelector("[data-do=crop]").setAttribute("aria-pressed", String(now.cropping));
    dialog.querySelector("[data-do=blind]").setAttribute("aria-pressed", String(hiding()));
    const film = shared.films[clip().name];
    all("[data-film]", dialog).forEach((b) => { b.hidden = !film; });
    dialog.querySelector("[data-do=play]").textContent = now.playing ? "Pause" : "Film";
    dialog.querySelector("[data-do=play]").setAttribute("aria-pressed", String(Boolean(now.film)));
    id("second").hidden = now.mode !== "wipe" && now.mode !== "difference";
    id("second-name").textContent = now.mode === "wipe" ? "Right side" : "Difference to";
    fill(id("right"), shots().map((s) => [s.label, title(s)]), second().label);
    const heat = now.mode === "error" || now.mode === "maps", graded = now.mode === "difference" || heat;
    id("gain").hidden = !graded;
    id("times").textContent = "× " + now.gain;
    id("heat-scale").hidden = !heat;
    id("heat-end").textContent = String(Math.round(255 / now.gain));
    const row = [1, 1, 1].map(() => now.gain / 3).join(" ") + " 0 0";
    id("heat-gain").setAttribute("values", [row, row, row, "0 0 0 1 0"].join(" "));
  }

  /** Options of a select; rebuilt only when they changed, so that an open list stays open. */
  function fill(select, options, chosen) {
    const wanted = JSON.stringify(options);
    if (select.dataset.options !== wanted) {
      select.dataset.options = wanted;
      select.replaceChildren(...options.map(([key, text]) => make("option", { value: key }, text)));
    }
    select.value = chosen;
  }

  const several = () => ["side", "maps", "slice"].includes(now.mode);

  function methods() {
    const bar = id("methods"), shown = several() ? beside() : [now.held ? reference() : shot(now.show)];
    const wanted = JSON.stringify(shots().map((s) => [s.source, title(s), value(s)]));
    if (bar.dataset.options !== wanted) {
      const focused = all("button", bar).indexOf(document.activeElement);
      bar.dataset.options = wanted;
      bar.replaceChildren(...shots().map(choice));
      if (focused >= 0) (all("button", bar)[focused] || id("stage")).focus();
    }
    all("button", bar).forEach((b, n) => b.setAttribute("aria-pressed", String(shown.includes(shots()[n]))));
  }

  function choice(s, place) {
    const button = make("button", { type: "button" });
    if (place < 9) button.append(make("kbd", {}, String(place + 1)), " ");
    const method = data.methods.find((m) => m.label === s.label);
    if (method && !hiding()) button.append(shared.swatch(method));
    button.append(title(s), " ", make("span", { className: "score" }, value(s)));
    button.addEventListener("click", () => choose(place));
    return button;
  }

  function side() {
    const voting = now.blind !== null;
    id("side").hidden = (!now.crop || Boolean(now.film)) && !voting;
    id("blind").hidden = !voting;
    id("curve").hidden = hiding() || !curve;
    if (voting) ballot.show();
    const entries = shots().map((s) => ({ shot: s, title: title(s), value: value(s) }));
    crops.show(now.crop && !now.film && { crop: now.crop, shots: entries, clip: clip().name, frame: frame().name, size: shots()[0], blind: hiding() });
    stage.place();
  }

  function zoomText() {
    const view = stage.view;
    id("zoom").textContent = view ? Math.round(view.scale * 100) + " %" : "fit";
  }

  let loaded = [];
  /** Decodes what the next keys show, so that flipping does not blink. */
  function preload() {
    const near = [0, 1, -1].map((by) => clip().frames[now.frame + by]).filter(Boolean);
    loaded = near.flatMap((f) => f.shots.map((s) => Object.assign(new Image(), { src: s.source })));
    loaded.slice(0, frame().shots.length).forEach((image) => image.decode().catch(() => {}));
  }

  const say = (text) => { id("says").textContent = text; };

  // What a person does

  function choose(place) {
    const s = shots()[place];
    if (!s) return;
    now.notice = "";
    if (several()) {
      const labels = beside().map((b) => b.label), left = labels.filter((label) => label !== s.label);
      now.methods = left.length === labels.length ? [...labels, s.label] : left.length ? left : labels;
    } else now.show = s.label;
    draw();
    say(caption(s));
  }

  /** The method before or after the one shown, round and round. */
  function turn(by) {
    if (several()) setMode("flip");
    const every = shots(), place = every.indexOf(shot(now.show));
    choose((place + by + every.length) % every.length);
  }

  /** The ground truth, and with the same key back to what was shown before. */
  function showTruth() {
    const end = truth();
    if (!end) { say("this clip has no ground truth"); return; }
    if (several()) setMode("flip");
    if (now.show === end.label && now.before) choose(shots().findIndex((s) => s.label === now.before));
    else { now.before = now.show; choose(shots().indexOf(end)); }
  }

  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else dialog.querySelector(".viewer-main").requestFullscreen().catch(() => say("this browser refuses full screen"));
  }

  /** The colours of the pictures on the stage at a point of the frame. */
  function readout(place) {
    if (now.film) place = null;
    const shown = stage.shown().map((s) => ({ shot: s, title: title(s) }));
    pixels.show(place, shown);
  }

  /** Saves what is shown as PNG: of several pictures the first. */
  async function savePicture() {
    const s = stage.shown()[0], blob = await shared.readPixels.blob(s);
    now.notice = blob ? "" : "A page from the disk may not read this picture. Served (deblurbench report RUN --serve) or as one file it can.";
    draw();
    const name = [clip().name, frame().name, hiding() ? title(s) : s.label].join("-").replace(/[^A-Za-z0-9.-]+/g, "-");
    if (blob) shared.save(blob, name + ".png", dialog);
  }

  function chooseSecond(place) {
    if (shots()[place]) now.with = shots()[place].label;
    draw();
    say(caption(second()));
  }

  function step(by, clipsOn) {
    pause();
    if (clipsOn) goTo((now.clip + clipsOn + clips.length) % clips.length, now.frame);
    else goTo(now.clip, (now.frame + by + frames().length) % frames().length);
  }

  function goTo(clipPlace, framePlace) {
    const other = clipPlace !== now.clip;
    now.notice = "";
    if (other) leaveFilm();
    now.clip = clipPlace;
    now.frame = Math.min(framePlace, frames().length - 1);
    if (other) { stage.view = null; now.crop = now.crop && crop(); drawCurve(); }
    draw();
    if (other) address(true);
    say("clip " + clip().name + ", frame " + frame().name);
  }

  /** The frame of that name, or the nearest with a picture; the first for a name that the clip does not have. */
  function nearest(name) {
    const order = data.clips.find((c) => c.name === clip().name).frames, numbers = [...order, ...clip().frames.map((f) => f.name)].every((f) => /^\d+$/.test(f));
    const place = (f) => (numbers && /^\d+$/.test(f) ? Number(f) : order.indexOf(f));
    const exact = clip().frames.find((f) => f.name === name), known = name !== null && (order.includes(name) || (numbers && /^\d+$/.test(name)));
    if (exact || !known) return exact || clip().frames[0];
    const away = (f) => Math.abs(place(f.name) - place(name));
    return clip().frames.reduce((best, f) => (away(f) < away(best) ? f : best));
  }

  /** A frame of the curve; the nearest with a picture where that one has none. */
  function pick(name) {
    const place = now.film ? now.film.findIndex((f) => f.name === name) : -1;
    if (place >= 0) { pause(); goTo(now.clip, place); return; }
    leaveFilm();
    const found = nearest(name);
    goTo(now.clip, clip().frames.indexOf(found));
    if (found.name !== name) say("frame " + name + " has no picture; the nearest that has one is " + found.name);
  }

  function setMode(name) {
    now.mode = now.mode === name && name !== "flip" ? "flip" : name;
    now.notice = "";
    draw();
    address(true);
    say(dialog.querySelector("[data-mode=" + now.mode + "]").textContent);
    stage.place();
  }

  // Films

  const pause = () => { timer.stop(); now.playing = false; };

  /** Back from a film to the pictures: the one nearest to the frame shown. */
  function leaveFilm() {
    pause();
    if (!now.film) return;
    const name = frame().name;
    now.film = null;
    now.frame = clip().frames.indexOf(nearest(name));
  }

  /** Goes over to the clip's film, at the frame of that name; false where there is none. */
  async function enterFilm(name) {
    const film = shared.films[clip().name], place = now.clip;
    if (!film || now.film) return Boolean(now.film);
    try {
      const loaded = await shared.film.load(film, (done, total) => { id("loading").hidden = done === total; id("loading").textContent = "decoding the film: " + done + " of " + total + " frames"; });
      if (!dialog.open || now.clip !== place) return false;
      now.film = loaded;
    } catch (error) {
      now.notice = "This browser cannot play the films (VP9 in WebM). Chrome, Edge and Firefox can.";
      draw();
      return false;
    }
    now.frame = Math.max(0, now.film.findIndex((f) => f.name === name));
    now.row = now.film[0].shots[0].height >> 1;
    if (!film.exact) now.notice = "This film is a preview, encoded with loss: judge motion by it, not pixels.";
    return true;
  }

  async function play() {
    if (now.playing) { pause(); draw(); return; }
    if (!(await enterFilm(frame().name))) { if (!shared.films[clip().name]) say("there is no film of this clip"); return; }
    if (now.mode === "slice") now.mode = "flip";
    now.playing = true;
    timer.play(now.frame, now.film.length, shared.films[clip().name].rate);
    draw();
  }

  function faster(by) {
    timer.speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(timer.speed) + by))];
    if (now.playing) timer.play(now.frame, now.film.length, shared.films[clip().name].rate);
    say("speed " + timer.speed);
  }

  async function toggleSlice() {
    if (now.mode === "slice") { setMode("flip"); return; }
    if (!(await enterFilm(frame().name))) return;
    pause();
    setMode("slice");
  }

  /** The edge of a wipe, or the row of a slice through time. */
  function move(by) {
    if (now.mode !== "slice") { stage.wipe(stage.edge + by); address(false); return; }
    const { height } = now.film[0].shots[0];
    now.row = Math.min(height - 1, Math.max(0, now.row + by));
    draw();
  }

  function louder(by) {
    now.gain = GAINS[Math.min(GAINS.length - 1, Math.max(0, GAINS.indexOf(now.gain) + by))];
    draw();
  }

  /** The crop shown first: where input and ground truth differ most, as on the page, else the middle. */
  function crop() {
    const box = reference().figure && reference().figure.querySelector(".where rect"), { width, height } = shots()[0];
    const read = (name) => Number(box.getAttribute(name));
    if (box) return { x: read("x"), y: read("y"), width: read("width"), height: read("height") };
    const w = Math.min(96, width), h = Math.min(96, height);
    return { x: (width - w) >> 1, y: (height - h) >> 1, width: w, height: h };
  }

  function toggleCrop() {
    now.cropping = !now.cropping;
    if (now.cropping && !now.crop) now.crop = crop();
    draw();
    if (now.cropping) say("crop: drag on the picture, or type its numbers");
  }

  // Blind comparison

  function toggleBlind() {
    if (now.blind !== null) { now.blind = null; now.revealed = false; }
    else { now.blind = Math.floor(Math.random() * 2 ** 31); now.revealed = false; now.show = shots()[0].label; now.with = null; }
    draw();
    address(true);
    say(now.blind === null ? "names shown" : "names hidden and shuffled");
  }

  function reveal() {
    if (!hiding()) return;
    now.revealed = true;
    draw();
    address(true);
    say("names revealed");
  }

  // Opening, closing, and the address

  function drawCurve(key) {
    if (curve) curve.destroy();
    curve = null;
    const found = data.clips.find((c) => c.name === clip().name);
    const metrics = data.metrics.filter((m) => m.key !== "seconds" && found && (found.values[m.key] || []).some((v) => v && v.some((n) => n !== null)));
    id("curve").hidden = !metrics.length;
    if (!metrics.length || !shared.drawCurve) return;
    fill(id("metric"), metrics.map((m) => [m.key, m.label]), metrics.some((m) => m.key === (key || id("metric").value)) ? key || id("metric").value : metrics[0].key);
    const metric = metrics.find((m) => m.key === id("metric").value);
    id("plot").setAttribute("aria-label", metric.label + " of each frame of clip " + found.name);
    const height = window.innerHeight < 700 ? 96 : 130;
    curve = shared.drawCurve(id("plot"), found, metric, height, new Set(clip().frames.map((f) => f.name)), pick);
    curve.mark(frame().name);
  }

  function state() {
    const letter = (label) => (hiding() ? String(shots().findIndex((s) => s.label === label)) : label);
    return {
      clip: clip().name, frame: frame().name, mode: now.mode, show: letter(shot(now.show).label),
      with: now.with && (now.mode === "wipe" || now.mode === "difference") ? letter(second().label) : null,
      methods: several() && now.methods && !hiding() ? beside().map((s) => s.label) : null,
      zoom: stage.view, crop: now.crop, wipe: now.mode === "wipe" ? stage.edge : null,
      curve: curve && id("metric").selectedIndex > 0 ? id("metric").value : null,
      film: now.film ? 1 : null,
      gain: now.gain === 4 ? null : now.gain, blind: hiding() ? now.blind : null,
    };
  }

  let writing = true, closedByAddress = false;  // `close` is told later, when `writing` is true again
  function address(push) {
    if (dialog.open && writing) shared.address.write(state(), push);
  }

  /** Shows what the address says; closes where it says nothing, and says what the report lacks. */
  function restore() {
    const wanted = shared.address.read(), place = wanted ? clips.findIndex((c) => c.name === wanted.clip) : -1;
    shared.notice(wanted && place < 0 ? "The address names the clip " + wanted.clip + ", of which this report has no picture." : "");
    writing = false;
    if (place < 0) {
      closedByAddress = dialog.open;
      dialog.close();
      writing = true;
      return;
    }
    leaveFilm();
    now.clip = place;
    now.frame = clip().frames.indexOf(nearest(wanted.frame));
    now.blind = wanted.blind;
    now.revealed = false;
    const label = (text) => (hiding() ? (shots()[Number(text)] || shots()[0]).label : text);
    Object.assign(now, {
      show: shot(label(wanted.show)).label, with: wanted.with === null ? null : label(wanted.with), methods: wanted.methods, crop: inside(wanted.crop),
      mode: MODES.includes(wanted.mode) ? wanted.mode : "flip", gain: GAINS.includes(wanted.gain) ? wanted.gain : 4,
      notice: lacking(wanted), cropping: false,
    });
    if (!dialog.open) { dialog.showModal(); id("stage").focus(); }
    drawCurve(wanted.curve);
    if (wanted.wipe !== null) stage.wipe(wanted.wipe);
    stage.view = wanted.zoom;
    draw();
    if (now.notice) say(now.notice);
    writing = true;
    if (wanted.film) {
      if (shared.films[clip().name]) enterFilm(wanted.frame).then((there) => { if (there) { now.mode = MODES.includes(wanted.mode) ? wanted.mode : "flip"; now.notice = ""; draw(); } });
      else { now.notice = "The address names a film of this clip, and this report has none."; draw(); }
    }
  }

  /** What an address names and this report lacks, in words. */
  function lacking(wanted) {
    const labels = hiding() ? [] : [wanted.show, wanted.with, ...(wanted.methods || [])].filter((text) => text && !frame().shots.some((s) => s.label === text));
    const lines = [];
    if (wanted.frame !== null && wanted.frame !== frame().name) lines.push("no picture of frame " + wanted.frame + ": " + frame().name + " is the nearest that has one");
    if (labels.length) lines.push("no picture by " + [...new Set(labels)].join(", "));
    if (!MODES.includes(wanted.mode)) lines.push("no mode " + wanted.mode);
    if (wanted.crop && !inside(wanted.crop)) lines.push("the crop lies outside the frame");
    return lines.length ? "Of what the address names this report lacks: " + lines.join("; ") + "." : "";
  }

  function inside(wanted) {
    const { width, height } = shots()[0];
    return wanted && wanted.x >= 0 && wanted.y >= 0 && wanted.x + wanted.width <= width && wanted.y + wanted.height <= height ? wanted : null;
  }

  /** Opens a frame by its names; without `label`, the first method. */
  function open(clipName, frameName, label) {
    leaveFilm();
    now.clip = clips.findIndex((c) => c.name === clipName);
    now.frame = clip().frames.findIndex((f) => f.name === frameName);
    now.show = label || first().label;
    Object.assign(now, { mode: "flip", with: null, crop: null, cropping: false, blind: null, revealed: false, held: false, notice: "" });
    stage.view = null;
    if (!dialog.open) { dialog.showModal(); id("stage").focus(); }
    drawCurve();
    draw();
    address(true);
  }

  function help() {
    const box = id("help");
    box.hidden = !box.hidden;
    dialog.querySelector("[data-do=help]").setAttribute("aria-expanded", String(!box.hidden));
  }

  const actions = {
    previous: () => step(-1, 0), next: () => step(1, 0), in: () => stage.zoom(1.5), out: () => stage.zoom(1 / 1.5),
    crop: toggleCrop, blind: toggleBlind, unblind: toggleBlind, reveal, help, close: () => dialog.close(),
    fainter: () => louder(-1), stronger: () => louder(1), forget: () => { blind.clear(); draw(); },
    play, save: savePicture, fit: () => stage.resize("fit"), fill: () => stage.resize("fill"), actual: () => stage.resize("actual"), full: fullScreen,
    votes: () => shared.copy(blind.csv(), dialog.querySelector("[data-do=votes]")),
  };
  const keys = {
    ArrowLeft: actions.previous, ArrowRight: actions.next, ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
    f: () => setMode("flip"), w: () => setMode("wipe"), s: () => setMode("side"), d: () => setMode("difference"),
    e: () => { if (truth()) setMode("error"); }, "[": actions.fainter, "]": actions.stronger, c: toggleCrop, b: toggleBlind,
    r: reveal, v: () => ballot.vote(shot(now.show).label), n: () => ballot.vote(""), "?": help,
    "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.fit, o: actions.actual, p: actions.fill, u: fullScreen,
    x: () => turn(1), z: () => turn(-1), PageDown: () => turn(1), PageUp: () => turn(-1), t: showTruth,
    a: () => { if (truth()) setMode("maps"); },
    i: () => stage.pan(0, STEP), k: () => stage.pan(0, -STEP), j: () => stage.pan(STEP, 0), l: () => stage.pan(-STEP, 0),
    ",": () => move(-2), ".": () => move(2), " ": play, y: toggleSlice, "<": () => faster(-1), ">": () => faster(1), g: () => { leaveFilm(); draw(); },
  };

  all("[data-do]", dialog).forEach((button) => button.addEventListener("click", () => actions[button.dataset.do]()));
  all("[data-mode]", dialog).forEach((button) => button.addEventListener("click", () => (button.dataset.mode === "slice" ? toggleSlice() : setMode(button.dataset.mode))));
  id("clip").addEventListener("change", (/** @type {any} */ event) => goTo(Number(event.target.value), 0));
  id("frame").addEventListener("change", (/** @type {any} */ event) => goTo(now.clip, Number(event.target.value)));
  id("right").addEventListener("change", (/** @type {any} */ event) => { now.with = event.target.value; draw(); });
  id("metric").addEventListener("change", () => { drawCurve(); curve.mark(frame().name); address(false); });
  all("figure.shot .open").forEach(function (button) {
    const { clip: clipName, frame: frameName, label } = button.parentElement.dataset;
    button.addEventListener("click", () => open(clipName, frameName, label));
  });

  shared.makeKeys(dialog, id("stage"), {
    keys, digit: (place, other) => (other ? chooseSecond : choose)(place), asked: () => say("number of the method: two digits"),
    held(down) { now.held = down; draw(); },
  });
  dialog.addEventListener("cancel", function (event) {  // Escape
    if (!id("help").hidden) help(); else if (now.cropping) toggleCrop(); else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", function () {
    leaveFilm();
    if (!closedByAddress) shared.address.write(null, true);
    closedByAddress = false;
    const opener = shot(now.show).figure && shot(now.show).figure.querySelector(".open");
    if (opener && opener.offsetParent) opener.focus();
  });
  window.addEventListener("popstate", restore);
  window.addEventListener("hashchange", restore);
  new ResizeObserver(() => { if (dialog.open && curve) curve.resize(); }).observe(id("plot"));

  shared.openViewer = open;
  if (shared.address.read()) restore();
})();
