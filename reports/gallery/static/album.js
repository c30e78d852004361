// Which pictures there are: clips, their frames, and the pictures of a frame, read from those that the page shows.
"use strict";
(function () {
  const shared = window.deblurbench;
  const clips = [];

  function entry(list, name, rest) {
    let found = list.find((one) => one.name === name);
    if (!found) list.push(found = { name, ...rest });
    return found;
  }

  shared.all("figure.shot").forEach(function (figure) {
    const { clip, frame, label, title, value, kind, why, pack } = figure.dataset, image = figure.querySelector("img");
    const place = entry(entry(clips, clip, { frames: [] }).frames, frame, { why: why || "", shots: [] });
    place.shots.push({
      label, title, value, kind, figure, pack, source: image.getAttribute("src"),
      width: Number(image.getAttribute("width")), height: Number(image.getAttribute("height")),
    });
  });

  const framesOf = (clip) => (clips.find((c) => c.name === clip) || { frames: [] }).frames;
  shared.clips = clips;
  shared.pictured = (clip) => framesOf(clip).map((f) => f.name);
  shared.hasPicture = (clip, frame, label) => framesOf(clip).some((f) => f.name === frame && f.shots.some((s) => s.label === label));
})();
