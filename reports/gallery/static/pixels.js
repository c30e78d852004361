// Colours of single pixels, and the PSNR of a crop. A browser lets no script read pictures that a page from the disk
// loads as files; the report then brings the same bytes as scripts (packs), one a frame, which are loaded when needed.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { make } = shared;
  const REMEMBERED = 24;  // decoded pictures; one of 1280 x 720 takes 3.7 MB
  const previews = "previews" in document.documentElement.dataset;  // one file with loss: see deblurbench/reports/previews.py
  const packs = {}, loading = {}, decoded = new Map();

  /** Called by the packs: `files` are data: addresses by file name. */
  shared.pack = function (files) { Object.assign(packs, files); };

  function loadPack(name) {
    if (!loading[name]) {
      loading[name] = new Promise(function (done) {
        const script = make("script", { src: name });
        script.addEventListener("load", done);
        script.addEventListener("error", done);
        document.head.append(script);
      });
    }
    return loading[name];
  }

  /** An address of the shot's picture whose pixels may be read, or null. */
  async function readable(shot) {
    if (shot.source.startsWith("data:") || window.location.protocol !== "file:") return shot.source;
    if (!packs[shot.source] && shot.pack) await loadPack(shot.pack);
    return packs[shot.source] || null;
  }

  async function decode(shot) {
    const source = await readable(shot);
    if (source === null) return null;
    const image = make("img", { src: source });
    await image.decode();
    const canvas = make("canvas", { width: shot.width, height: shot.height });
    const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, shot.width, shot.height);
  }

  /** The shot's pixels (ImageData), null where they cannot be read. */
  function read(shot) {
    const key = shot.source;
    if (!decoded.has(key)) {
      decoded.set(key, decode(shot).catch(() => null));
      if (decoded.size > REMEMBERED) decoded.delete(decoded.keys().next().value);
    }
    return decoded.get(key);
  }

  /** PSNR in dB over the RGB values of a crop against the ground truth; Infinity where they are equal, null unreadable. */
  async function psnr(shot, truth, crop) {
    if (previews) return null;  // would be that of the preview
    const [one, two] = await Promise.all([read(shot), read(truth)]);
    if (!one || !two) return null;
    let sum = 0;
    for (let y = crop.y; y < crop.y + crop.height; y += 1) {
      for (let place = 4 * (y * one.width + crop.x), end = place + 4 * crop.width; place < end; place += 1) {
        if (place % 4 !== 3) sum += (one.data[place] - two.data[place]) ** 2;
      }
    }
    return sum ? 10 * Math.log10(255 ** 2 * 3 * crop.width * crop.height / sum) : Infinity;
  }

  /** A part of a picture as a data: address of a PNG; null where its pixels cannot be read. */
  async function png(shot, { x, y, width, height }) {
    const pixels = await read(shot);
    if (!pixels) return null;
    const canvas = make("canvas", { width, height });
    canvas.getContext("2d").putImageData(pixels, -x, -y, x, y, width, height);
    return canvas.toDataURL("image/png");
  }

  /** A whole picture, or frame of a film, as a PNG; null where its pixels cannot be read. */
  async function blob(shot) {
    const canvas = make("canvas", { width: shot.width, height: shot.height }), context = canvas.getContext("2d");
    if (shot.bitmap) context.drawImage(shot.bitmap, 0, 0);
    else {
      const pixels = await read(shot);
      if (!pixels) return null;
      context.putImageData(pixels, 0, 0);
    }
    return new Promise(function (done) {
      try { canvas.toBlob(done, "image/png"); } catch (error) { done(null); }  // of a video from the disk
    });
  }

  shared.readPixels = { read, psnr, png, blob };

  /** Writes the colours under the pointer into `box`. */
  shared.makePixels = function (box) {
    let turn = 0;

    async function show(place, shown) {
      const asked = ++turn;
      box.hidden = !place;
      if (!place) return;
      const images = await Promise.all(shown.map((s) => read(s.shot)));
      if (asked !== turn) return;
      const parts = shown.map(function ({ title }, n) {
        if (!images[n]) return null;
        const at = 4 * (place.y * images[n].width + place.x), [r, g, b] = images[n].data.slice(at, at + 3);
        return make("span", {}, make("i", {}, title), " " + [r, g, b].join(" "));
      }).filter(Boolean);
      const none = "pixel values need the report served (deblurbench report RUN --serve) or as one file";
      box.replaceChildren(make("b", {}, "x " + place.x + ", y " + place.y + (previews ? " of previews, with loss" : "")), ...(parts.length ? parts : [make("span", {}, none)]));
    }
    return { show };
  };
})();
