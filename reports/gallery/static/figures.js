// Plots of the page to take along: each as SVG or PNG that stands alone, in the colours that the page has now.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { all, make } = shared;
  const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
  const PNG_SCALE = 4;  // pixels a unit of the drawing, which is a point of the printed figure

  /** The drawing as text, with the style sheet's colours written into it. */
  function standalone(drawing) {
    const style = getComputedStyle(drawing), copy = drawing.cloneNode(true), [, , width, height] = drawing.getAttribute("viewBox").split(" ").map(Number);
    const colour = (text) => text.replace(/var\((--[a-z0-9-]+)\)/g, (whole, name) => style.getPropertyValue(name).trim());
    [copy, ...all("*", copy)].forEach(function (element) {
      Array.from(element.attributes).forEach((attribute) => { if (attribute.value.includes("var(")) element.setAttribute(attribute.name, colour(attribute.value)); });
      if (element.classList.contains("off")) element.remove();
    });
    Object.entries({ xmlns: "http://www.w3.org/2000/svg", "xmlns:xlink": "http://www.w3.org/1999/xlink", width, height, "font-family": FONT }).forEach(([name, value]) => copy.setAttribute(name, String(value)));
    const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    Object.entries({ width, height, fill: style.getPropertyValue("--paper").trim() }).forEach(([name, value]) => ground.setAttribute(name, String(value)));
    copy.prepend(ground);
    return { text: new XMLSerializer().serializeToString(copy), width, height };
  }

  async function save(box, kind) {
    const drawing = box.querySelector("svg.drawn"), made = standalone(drawing);
    const blob = kind === "png" ? await rasterise(made) : new Blob([made.text], { type: "image/svg+xml" });
    const words = (drawing.getAttribute("aria-label") || "plot").split(/[;,(]/)[0].trim();
    shared.save(blob, words.replace(/[^A-Za-z0-9.-]+/g, "-").toLowerCase() + "." + kind, box);
  }

  async function rasterise({ text, width, height }) {
    const image = make("img", { src: "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text) });
    await image.decode();
    const canvas = make("canvas", { width: Math.round(width * PNG_SCALE), height: Math.round(height * PNG_SCALE) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => { canvas.toBlob(done, "image/png"); });
  }

  all(".plotbox").forEach(function (box) {
    if (!box.querySelector("svg.drawn")) return;
    const button = (kind) => {
      const found = make("button", { type: "button" }, kind.toUpperCase());
      found.setAttribute("aria-label", kind.toUpperCase() + ", save this plot");
      found.addEventListener("click", () => save(box, kind));
      return found;
    };
    box.append(make("div", { className: "saves" }, "Save as", button("svg"), button("png")));
  });
  shared.rasterise = rasterise;
})();
