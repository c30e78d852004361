// A blind comparison: methods get letters, shuffled anew for every frame; votes stay on this computer.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { make } = shared;
  const UNSURE = "";  // the vote "cannot tell"

  /** A small generator of numbers in [0, 1), the same for the same seed (mulberry32). */
  function random(seed) {
    let state = seed >>> 0;
    return function () {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  function hash(text) {
    let value = 2166136261;  // FNV-1a
    for (let place = 0; place < text.length; place += 1) value = Math.imul(value ^ text.charCodeAt(place), 16777619);
    return value >>> 0;
  }

  const letter = (place) => String.fromCharCode(65 + place % 26) + (place > 25 ? Math.floor(place / 26) : "");

  /** `id` names the report: its votes are kept under it. */
  shared.makeBlind = function (id) {
    const place = "deblurbench-votes-" + id;
    let votes = shared.kept(place) || {};
    const key = (clip, frame) => JSON.stringify([clip, frame]);

    /** The labels of a frame in the order of their letters, by Fisher and Yates. */
    function order(seed, clip, frame, labels) {
      const next = random(seed ^ hash(key(clip, frame))), found = labels.slice();
      for (let last = found.length - 1; last > 0; last -= 1) {
        const other = Math.floor(next() * (last + 1));
        [found[last], found[other]] = [found[other], found[last]];
      }
      return found;
    }

    function vote(clip, frame, label, among) {
      votes[key(clip, frame)] = { label, among };
      return shared.keep(place, votes);
    }

    /** Votes and the frames on which a label could be chosen, most votes first. */
    function tally(labels) {
      const given = Object.values(votes);
      const rows = labels.map((label) => ({
        label, votes: given.filter((v) => v.label === label).length, shown: given.filter((v) => v.among.includes(label)).length,
      }));
      return rows.sort((a, b) => b.votes - a.votes);
    }

    const quote = (text) => (/[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text);

    /** clip,frame,vote,order: one line a vote; an empty vote is "cannot tell"; order is that of the letters. */
    function csv() {
      const lines = Object.entries(votes).map(function ([at, given]) {
        const [clip, frame] = JSON.parse(at);
        return [clip, frame, given.label, given.among.join(" ")].map(quote).join(",");
      });
      return ["clip,frame,vote,order", ...lines.sort()].join("\n") + "\n";
    }

    function table(labels, title) {
      const rows = tally(labels).map((row) => make("tr", {}, make("th", { scope: "row" }, title(row.label)),
        make("td", { className: "number" }, String(row.votes)), make("td", { className: "number" }, row.shown ? Math.round(100 * row.votes / row.shown) + " %" : "–")));
      const heads = ["Method", "Votes", "Share"].map((text, column) => make("th", { scope: "col", className: column ? "number" : "" }, text));
      return make("table", { className: "plain" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
    }

    return {
      order, vote, csv, table, letter,
      given: (clip, frame) => votes[key(clip, frame)] || null,
      count: () => Object.keys(votes).length,
      unsure: () => Object.values(votes).filter((v) => v.label === UNSURE).length,
      clear() { votes = {}; shared.keep(place, votes); },
    };
  };

  /**
   * The panel of the viewer where votes are given and counted. `viewer` tells where it is (here), names a picture
   * (title), says whether names are hidden, goes to another frame, draws, and says things aloud.
   */
  shared.makeBallot = function (blind, viewer) {
    const id = (name) => document.getElementById("viewer-" + name);
    const candidates = (shots) => shots.filter((s) => s.kind !== "truth");

    function show() {
      id("ballot").hidden = !viewer.hiding();
      id("tally").hidden = viewer.hiding();
      if (viewer.hiding()) offer();
      else count();
    }

    function offer() {
      const { clipName, frameName, shots } = viewer.here(), given = blind.given(clipName, frameName);
      const button = (text, label) => {
        const found = make("button", { type: "button", className: "plain-button" }, text);
        found.setAttribute("aria-pressed", String(Boolean(given) && given.label === label));
        found.addEventListener("click", () => vote(label));
        return found;
      };
      id("votes").replaceChildren(...candidates(shots).map((s) => button(viewer.title(s), s.label)), button("Cannot tell", UNSURE));
      const frames = viewer.clips.reduce((sum, c) => sum + c.frames.length, 0);
      id("voted").textContent = blind.count() + " of " + frames + " frames voted on" + (given ? ", this one too" : "");
    }

    function count() {
      const shots = viewer.clips.flatMap((c) => c.frames.flatMap((f) => f.shots));
      const labels = [...new Set(candidates(shots).map((s) => s.label))];
      id("results").replaceChildren(blind.table(labels, (label) => shots.find((s) => s.label === label).title));
      id("total").textContent = blind.count() + " votes, of them " + blind.unsure() + " could not tell. The share is of the votes on frames that showed the method.";
    }

    /** Keeps a vote ("" cannot tell) and goes on to the next frame without one. */
    function vote(label) {
      if (!viewer.hiding()) return;
      const { clip, frame, clipName, frameName, shots } = viewer.here(), among = candidates(shots).map((s) => s.label);
      if (label !== UNSURE && !among.includes(label)) { viewer.say("the ground truth is no candidate"); return; }
      const stays = blind.vote(clipName, frameName, label, among);
      const places = viewer.clips.flatMap((c, i) => c.frames.map((f, j) => ({ i, j, given: blind.given(c.name, f.name) })));
      const here = places.findIndex((p) => p.i === clip && p.j === frame);
      const next = [...places.slice(here + 1), ...places.slice(0, here)].find((p) => !p.given);
      if (next) viewer.go(next.i, next.j);
      viewer.draw();
      const whither = next ? "; next frame" : "; all frames are voted on, R reveals the names";
      viewer.say("voted" + (stays ? "" : "; this browser keeps it only until the page is closed") + whither);
    }

    return { show, vote };
  };
})();
