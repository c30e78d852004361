// Films in the viewer: all frames of all methods of a clip, decoded once, so that they play in step, loop without a
// pause, and go through zoom, flip, wipe and differences as single pictures do.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { all, make, data } = shared;
  const MEMORY = 600e6;  // bytes of decoded frames
  const films = {};

  /** Reads the films that the page has: clip -> { clip, frames, rate, exact, tracks }. */
  all("article.player").forEach(function (article) {
    const tracks = all(".track", article).map(function (figure) {
      const video = figure.querySelector("video"), kind = ["input", "truth"].find((name) => figure.classList.contains(name)) || "method";
      return { label: figure.dataset.label, title: figure.querySelector("figcaption").textContent, kind, source: video.getAttribute("src"), width: video.width, height: video.height };
    });
    films[article.dataset.clip] = { clip: article.dataset.clip, frames: JSON.parse(article.dataset.frames), rate: Number(article.dataset.rate), exact: article.dataset.exact === "true", tracks };
  });

  const once = (target, name) => new Promise(function (done, failed) {
    target.addEventListener(name, done, { once: true });
    target.addEventListener("error", () => failed(new Error("cannot be played")), { once: true });
  });

  /** The frames [first, first + count) that fit into memory, around the middle. */
  function span(film) {
    const { width, height } = film.tracks[0], one = 4 * width * height * film.tracks.length;
    const count = Math.max(1, Math.min(film.frames.length, Math.floor(MEMORY / one)));
    return { first: (film.frames.length - count) >> 1, count };
  }

  async function decodeTrack(track, film, { first, count }, tell) {
    const video = make("video", { muted: true, preload: "auto", src: track.source }), bitmaps = [];
    const loaded = once(video, "loadeddata");
    video.load();
    await loaded;
    for (let n = first; n < first + count; n += 1) {
      const arrived = once(video, "seeked");
      video.currentTime = (n + 0.5) / film.rate;  // the middle of the frame: no rounding shows its neighbour
      await arrived;
      bitmaps.push(await createImageBitmap(video));
      tell();
    }
    video.removeAttribute("src");
    video.load();
    return bitmaps;
  }

  /** The score of a frame by a method, as the table prints it. */
  function score(clip, frame, label) {
    const known = data.clips.find((c) => c.name === clip), metric = data.metrics[0], method = data.methods.findIndex((m) => m.label === label);
    const values = known && metric && metric.key !== "seconds" && method >= 0 ? (known.values[metric.key] || [])[method] : null, place = known ? known.frames.indexOf(frame) : -1;
    if (!values || place < 0 || values[place] === null) return "";
    return shared.show(metric, values[place]) + (metric.unit ? " " + metric.unit : "");
  }

  /**
   * Decodes a film: frames as the viewer knows them ({ name, why, shots }), each shot with a bitmap. `tell(done, all)`
   * is called while it goes on. Rejects where the browser cannot play the videos.
   */
  function load(film, tell) {
    if (!film.loaded) {
      const part = span(film), total = part.count * film.tracks.length;
      let done = 0;
      film.loaded = Promise.all(film.tracks.map((track) => decodeTrack(track, film, part, () => { done += 1; tell(done, total); }))).then(function (bitmaps) {
        const names = film.frames.slice(part.first, part.first + part.count);
        return names.map((name, n) => ({
          name, why: "", shots: film.tracks.map((track, t) => ({ ...track, bitmap: bitmaps[t][n], value: track.kind === "truth" ? "" : score(film.clip, name, track.label), figure: null })),
        }));
      });
      film.loaded.catch(() => { film.loaded = null; });
    }
    return film.loaded;
  }

  /** One row of pixels over all frames, time downwards, as a picture about as high as a frame. */
  function slice(frames, label, row) {
    const shots = frames.map((f) => f.shots.find((s) => s.label === label)), { width, height } = shots[0];
    const stretch = Math.max(1, Math.floor(height / frames.length));
    const canvas = make("canvas", { width, height: stretch * frames.length }), context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    shots.forEach((s, n) => context.drawImage(s.bitmap, 0, row, width, 1, 0, n * stretch, width, stretch));
    return { ...shots[0], bitmap: canvas, height: canvas.height, source: label + "@" + row };
  }

  /** Calls `show(index)` for each frame as time goes; play(from) starts, stop() ends, speed is a factor. */
  function clock(show) {
    let run = 0, speed = 1;
    return {
      play(from, count, rate) {
        const mine = run += 1;
        let began = null, last = from;
        const tick = function (time) {
          if (mine !== run) return;
          if (began === null) began = time;
          const index = (from + Math.floor((time - began) / 1000 * rate * speed)) % count;
          if (index !== last) show(last = index);
          window.requestAnimationFrame(tick);
        };
        window.requestAnimationFrame(tick);
      },
      stop() { run += 1; },
      get speed() { return speed; },
      set speed(factor) { speed = factor; },
    };
  }

  shared.films = films;
  shared.film = { load, slice, clock };
})();
