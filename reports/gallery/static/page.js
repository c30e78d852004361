// Sorting, choosing a metric or a frame, hiding methods, copying. The page reads well without this script.
"use strict";
(function () {
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

  function key(row, column) {
    const cell = row.children[column];
    if (!cell || cell.colSpan > 1 || cell.classList.contains("state")) return null;
    const text = cell.dataset.sort !== undefined ? cell.dataset.sort : cell.textContent.trim();
    if (text === "") return null;
    if (text === "inf") return Infinity;
    const number = Number(text);
    return column > 0 && !Number.isNaN(number) ? number : text;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0];
    const rows = all("tr", body).map((row, place) => ({ row, place, key: key(row, column) }));
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.place - b.place;
      return direction * compare(a.key, b.key) || a.place - b.place;
    });
    rows.forEach((entry) => body.append(entry.row));
    all("thead th", table).forEach(function (head, place) {
      const mine = place === column ? (direction > 0 ? "ascending" : "descending") : "none";
      head.setAttribute("aria-sort", mine);
    });
  }

  all("table.sortable").forEach(function (table) {
    all("thead th", table).forEach(function (head, column) {
      head.querySelector("button").addEventListener("click", function () {
        const now = head.getAttribute("aria-sort");
        const first = head.dataset.better === "high" ? -1 : 1;
        const direction = now === "ascending" ? -1 : now === "descending" ? 1 : first;
        sort(table, column, direction);
      });
    });
  });

  function press(buttons, pressed) {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
  }

  all("[data-choice]").forEach(function (group) {
    const buttons = all("button", group);
    const panels = all("[data-panel]").filter((panel) => panel.dataset.panel === group.dataset.choice);
    const show = function (button) {
      press(buttons, button);
      panels.forEach((panel) => { panel.hidden = panel.dataset.index !== button.dataset.show; });
    };
    buttons.forEach((button) => button.addEventListener("click", () => show(button)));
    show(buttons[0]);
  });

  all("article.clip").forEach(function (clip) {
    const buttons = all(".choice.frames button", clip);
    const moments = all(".moment", clip);
    const show = function (button) {
      press(buttons, button);
      moments.forEach((moment) => { moment.hidden = moment.dataset.frame !== button.dataset.frame; });
    };
    buttons.forEach((button) => button.addEventListener("click", () => show(button)));
    const first = buttons.find((button) => button.getAttribute("aria-pressed") === "true");
    if (first) show(first);
    if (first) moments.forEach((moment) => moment.querySelector("h4").classList.add("visually-hidden"));
  });

  all("[data-toggle]").forEach(function (button) {
    button.addEventListener("click", function () {
      const shown = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(shown));
      all("[data-method]").forEach(function (group) {
        if (group.dataset.method === button.dataset.toggle) group.classList.toggle("off", !shown);
      });
    });
  });

  all(".copy").forEach(function (button) {
    button.addEventListener("click", function () {
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector("pre"));
      const selection = window.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      const done = document.execCommand("copy");
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  });
})();
