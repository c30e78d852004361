// Playback: all videos of a clip in step with the first one. Paused, every video shows the very frame that is asked for.
"use strict";
(function () {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

  function player(article) {
    const videos = all("video", article), first = videos[0];
    const rate = Number(article.dataset.rate), frames = JSON.parse(article.dataset.frames);
    const part = (name) => article.querySelector("[data-player=" + name + "]");
    const now = { index: 0, playing: false, ready: null, turn: 0 };

    const time = (index) => (index + 0.5) / rate;  // the middle of the frame: no rounding shows its neighbour
    const index = (seconds) => Math.min(frames.length - 1, Math.max(0, Math.floor(seconds * rate + 0.01)));
    const bounded = (n) => Math.min(frames.length - 1, Math.max(0, n));

    function ready() {  // loads the videos when they are first needed, not with the page
      if (!now.ready) {
        now.ready = Promise.all(videos.map((video) => new Promise(function (done, failed) {
          video.controls = false;
          video.addEventListener("loadeddata", done, { once: true });
          video.addEventListener("error", () => failed(new Error("cannot be played")), { once: true });
          video.preload = "auto";
          video.load();
        })));
      }
      return now.ready;
    }

    function seek(video, seconds) {
      return new Promise(function (done) {
        if (Math.abs(video.currentTime - seconds) < 0.001 && !video.seeking) { done(); return; }
        video.addEventListener("seeked", done, { once: true });
        video.currentTime = seconds;
      });
    }

    function tell() {
      part("slider").value = String(now.index + 1);
      if (document.activeElement !== part("number")) part("number").value = String(now.index + 1);  // not while one types
      part("play").textContent = now.playing ? "Pause" : "Play";
      article.dataset.frame = frames[now.index];
      if (!now.playing) part("says").textContent = "frame " + frames[now.index] + " (" + (now.index + 1) + " of " + frames.length + ")";
    }

    async function show(wanted) {  // only the last one asked for is shown, however quickly they come
      const turn = ++now.turn;
      halt();
      now.index = bounded(wanted);
      article.dataset.settled = "false";
      tell();
      try { await ready(); } catch (error) { refuse(); return; }
      if (turn !== now.turn) return;
      await Promise.all(videos.map((video) => seek(video, time(now.index))));
      if (turn === now.turn) article.dataset.settled = "true";
    }

    function refuse() { part("says").textContent = "This browser cannot play these videos (VP9 in WebM). Chrome, Edge and Firefox can."; }

    function halt() {
      now.playing = false;
      videos.forEach((video) => video.pause());
    }

    async function play() {
      await show(now.index >= frames.length - 1 ? 0 : now.index);
      if (article.dataset.settled !== "true") return;
      now.playing = true;
      tell();
      speed();
      videos.forEach((video) => { video.loop = part("loop").checked; });
      await Promise.all(videos.map((video) => video.play().catch(() => {})));
      follow();
    }

    function pause() { show(index(first.currentTime)); }
    function toggle() { if (now.playing) pause(); else play(); }
    function speed() { videos.forEach((video) => { video.playbackRate = Number(part("speed").value); }); }

    function follow() {  // the first video is the clock; the others are nudged, or set where they are a frame off
      if (!now.playing) return;
      if (first.ended) { over(); return; }
      now.index = index(first.currentTime);
      tell();
      const pace = Number(part("speed").value), half = frames.length / rate / 2;
      videos.slice(1).forEach(function (video) {
        const late = first.currentTime - video.currentTime;
        if (Math.abs(late) > half) return;  // one of the two has begun again, the other is about to
        if (Math.abs(late) > 1.5 / rate && !video.seeking) video.currentTime = first.currentTime;
        else video.playbackRate = Math.abs(late) > 0.25 / rate ? pace * (late > 0 ? 1.1 : 0.9) : pace;
      });
      if (first.requestVideoFrameCallback) waitForFrame();
      else window.requestAnimationFrame(follow);
    }

    function waitForFrame() {  // the end of a video presents no further frame
      let done = false;
      const once = () => { if (!done) { done = true; follow(); } };
      first.requestVideoFrameCallback(once);
      first.addEventListener("ended", once, { once: true });
    }

    async function over() {
      const again = part("loop").checked;
      await show(again ? 0 : frames.length - 1);
      if (again) play();
    }

    function faster(step) {
      const select = part("speed"), place = SPEEDS.indexOf(Number(select.value)) + step;
      select.value = String(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, place))]);
      speed();
      part("says").textContent = "speed " + select.value;
    }

    const keys = {
      " ": toggle, k: toggle, ArrowLeft: () => show(now.index - 1), ArrowRight: () => show(now.index + 1),
      Home: () => show(0), End: () => show(frames.length - 1), "[": () => faster(-1), "]": () => faster(1),
    };
    article.addEventListener("keydown", function (event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const own = ["INPUT", "SELECT"].includes(event.target.tagName) || (event.target.tagName === "BUTTON" && event.key === " ");
      if (own || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });

    part("back").addEventListener("click", () => show(now.index - 1));
    part("on").addEventListener("click", () => show(now.index + 1));
    part("play").addEventListener("click", toggle);
    part("speed").addEventListener("change", speed);
    part("number").addEventListener("change", function () {
      show(Math.round(Number(part("number").value)) - 1 || 0);
      part("number").value = String(now.index + 1);
    });
    part("slider").addEventListener("input", () => show(Number(part("slider").value) - 1));
    part("actual").addEventListener("change", () => article.querySelector(".tracks").classList.toggle("actual", part("actual").checked));
    videos.forEach((video) => { video.controls = false; });
    part("loop").checked = !still.matches;
    article.querySelector(".player-bar").hidden = false;
    tell();
    return { show, halt: () => { if (now.playing) pause(); }, index: () => now.index };
  }

  const articles = all("article.player");
  if (!articles.length) return;
  const players = articles.map(player);
  const choice = /** @type {HTMLSelectElement | null} */ (document.getElementById("player-clip"));

  function near(place) {  // the first frames are shown when the player comes near the window
    if (!window.IntersectionObserver) { players[place].show(players[place].index()); return; }
    const watch = new IntersectionObserver(function (entries) {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      if (articles[place].dataset.settled === undefined) players[place].show(players[place].index());
    }, { rootMargin: "200px" });
    watch.observe(articles[place]);
  }

  function choose(place) {
    articles.forEach((article, other) => { article.hidden = other !== place; if (other !== place) players[other].halt(); });
    near(place);
  }
  if (choice) choice.addEventListener("change", () => choose(Number(choice.value)));
  choose(choice ? Number(choice.value) : 0);
})();
