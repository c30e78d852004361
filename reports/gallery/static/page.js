// What all scripts share, and the small controls: choosing a metric or frame, hiding methods, copying.
// The page reads well without any of these scripts.
"use strict";
window.deblurbench = (function () {
  const data = window.deblurbenchData;
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  /** A new element with properties; children are elements or plain text (never markup). */
  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  function press(buttons, pressed) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
  }

  /** A score as the table prints it, without its unit; times with theirs and three significant digits. */
  function show(metric, value) {
    if (value === null || value === undefined) return "–";
    if (value === "inf") return "∞";
    if (metric.key !== "seconds") return value.toFixed(metric.decimals);
    return value < 1 ? significant(value * 1000) + " ms" : significant(value) + " s";
  }

  function significant(value) {
    if (!value) return "0";
    const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return value.toFixed(Math.min(decimals, 9));
  }

  /** A method's line and marker, as in the legends. */
  function swatch(method) {
    const draw = (tag, attributes) => {
      const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
      Object.entries(attributes).forEach(([name, value]) => found.setAttribute(name, String(value)));
      return found;
    };
    const box = draw("svg", { class: "swatch s" + method.colour, viewBox: "0 0 28 12", "aria-hidden": "true" });
    box.append(draw("line", { class: "line", x1: 0, x2: 28, y1: 6, y2: 6, "stroke-dasharray": method.dash.join(" ") || "none" }));
    box.append(draw("path", { class: method.open ? "mark open" : "mark", d: method.marker, transform: "translate(14 6) scale(8)" }));
    return box;
  }

  /** Copies text and tells so on the button. A hidden field works from the disk in every browser. */
  function copy(text, button) {
    const field = make("textarea", { value: text, className: "visually-hidden", readOnly: true, tabIndex: -1 });
    button.after(field);  // beside the button, so that an open dialog does not make it inert
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    button.focus();
    tell(button, done ? "Copied" : "Copying failed");
  }

  /** Saves a blob as a file; the link stands within `box`, so that an open dialog does not make it inert. */
  function save(blob, name, box) {
    const url = URL.createObjectURL(blob), link = make("a", { href: url, download: name });
    box.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }

  function tell(button, text) {
    if (!button.dataset.text) button.dataset.text = button.textContent;
    button.textContent = text;
    setTimeout(() => { button.textContent = button.dataset.text; }, 1800);
  }

  // Reading and writing what stays on this computer; a browser may forbid it for files, then it lasts until reload.
  const memory = {};
  function keep(key, value) {
    memory[key] = value;
    try { window.localStorage.setItem(key, JSON.stringify(value)); } catch (error) { return false; }
    return true;
  }
  function kept(key) {
    try {
      const text = window.localStorage.getItem(key);
      return text === null ? memory[key] || null : JSON.parse(text);
    } catch (error) { return memory[key] || null; }
  }

  // The metric of the plots: one choice for all groups of panels.
  const note = (change) => window.deblurbench.address.note(change);
  const choices = all("[data-choice]");

  /** Shows the panels of a metric; false where there are none. */
  function chooseMetric(key) {
    const known = choices.some((group) => all("button", group).some((button) => button.dataset.show === key));
    if (!known) return false;
    choices.forEach(function (group) {
      const buttons = all("button", group);
      press(buttons, buttons.find((button) => button.dataset.show === key));
      all("[data-panel=" + group.dataset.choice + "]").forEach((panel) => { panel.hidden = panel.dataset.key !== key; });
    });
    return true;
  }
  choices.forEach((group) => all("button", group).forEach(function (button, place) {
    button.addEventListener("click", () => { chooseMetric(button.dataset.show); note({ metric: place ? button.dataset.show : null }); });
    if (!place) chooseMetric(button.dataset.show);
  }));

  all("article.clip").forEach(function (clip) {
    const buttons = all(".choice.frames button", clip);
    const moments = all(".moment", clip);
    const choose = function (button) {
      press(buttons, button);
      moments.forEach((moment) => { moment.hidden = moment.dataset.frame !== button.dataset.frame; });
    };
    buttons.forEach((button) => button.addEventListener("click", () => choose(button)));
    const first = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
    if (first) choose(first);
    if (first) moments.forEach((moment) => moment.querySelector("h4").classList.add("visually-hidden"));
  });

  all("[data-toggle]").forEach(function (button) {
    button.addEventListener("click", function () {
      switchMethod(button.dataset.toggle, button.getAttribute("aria-pressed") !== "true");
      note({ off: all("[data-toggle][aria-pressed=false]").map((other) => other.dataset.toggle) });
    });
  });

  /** Shows or hides a method in all plots; false where there is none of that name. */
  function switchMethod(label, shown) {
    const own = all("[data-toggle]").filter((button) => button.dataset.toggle === label);
    own.forEach((button) => button.setAttribute("aria-pressed", String(shown)));
    all("[data-method]").forEach(function (group) {
      if (group.dataset.method === label) group.classList.toggle("off", !shown);
    });
    document.dispatchEvent(new CustomEvent("togglemethod", { detail: { label, shown } }));
    return own.length > 0;
  }

  all(".copy").forEach(function (button) {
    button.addEventListener("click", () => copy(button.parentElement.querySelector("pre").textContent, button));
  });
  all("[data-copy-table]").forEach(function (button) {
    button.addEventListener("click", () => copy(data.tables[button.dataset.copyTable], button));
  });

  return { data, all, make, swatch, press, show, copy, save, keep, kept, chooseMetric, switchMethod };
})();
