// The table of results: sorting by column, and rows that open into their clips and then into frames.
"use strict";
(function () {
  const { data, all, make, show } = window.deblurbench;

  // Sorting. Rows that were opened move with the method they belong to.

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
    if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a - b;
    return String(a).localeCompare(String(b), "en", { numeric: true });
  }

  /** Every row that is no inner one, with the inner rows that follow it. */
  function groups(table) {
    const found = [];
    all("tr", table.tBodies[0]).forEach(function (row) {
      if (row.classList.contains("inner")) found[found.length - 1].inner.push(row);
      else found.push({ row, inner: [] });
    });
    return found;
  }

  function sort(table, column, direction) {
    const rows = groups(table).map((group, place) => ({ group, place, key: key(group.row, column) }));
    rows.sort(function (a, b) {
      if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null) || a.place - b.place;
      return direction * compare(a.key, b.key) || a.place - b.place;
    });
    rows.forEach((entry) => table.tBodies[0].append(entry.group.row, ...entry.group.inner));
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
        window.deblurbench.address.note({ sort: columnKey(head, column) + "," + (direction > 0 ? "up" : "down") });
      });
    });
  });

  const columnKey = (head, column) => head.dataset.key || String(column);

  /** Sorts the table as an address says; false where it has no such column. */
  window.deblurbench.sortTable = function (key, direction) {
    const table = document.querySelector("table.sortable"), heads = table ? all("thead th", table) : [];
    const column = heads.findIndex((head, place) => columnKey(head, place) === key);
    if (column < 0) return false;
    sort(table, column, direction === "down" ? -1 : 1);
    return true;
  };

  // Opening a method into clips, and a clip into frames. Rows are made when they are first asked for.

  function opener(name, open) {
    const button = make("button", { type: "button", className: "expand" });
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-label", name);
    let rows = null;
    button.addEventListener("click", function () {
      const opening = button.getAttribute("aria-expanded") === "false";
      button.setAttribute("aria-expanded", String(opening));
      if (opening) rows = open();
      else rows.forEach((row) => { all(".expand[aria-expanded=true]", row).forEach((b) => b.click()); row.remove(); });
    });
    return button;
  }

  function cells(values, columns) {
    const found = data.metrics.map((metric, place) => make("td", { className: "number" }, show(metric, values[place])));
    while (found.length < columns - 1) found.push(make("td", {}));
    return found;
  }

  function clipRows(parent, method) {
    const label = data.methods[method].label, columns = parent.closest("table").tHead.rows[0].cells.length;
    const rows = data.clips.map(function (clip, place) {
      const head = make("th", { scope: "row" });
      const row = make("tr", { className: "inner" }, head);
      const means = data.metrics.map((metric) => (clip.means[metric.key] || [])[method]);
      const button = opener("Frames of " + clip.name + " by " + label, () => frameRows(row, method, place, columns));
      const name = make("span", { className: "name" }, make("span", {}, clip.name));
      if (data.metrics.some((metric) => values(clip, metric, method))) name.prepend(button);
      head.append(name);
      row.append(...cells(means, columns));
      return row;
    });
    parent.after(...rows);
    return rows;
  }

  function values(clip, metric, method) {
    const found = clip.values[metric.key];
    return found ? found[method] : null;
  }

  function frameRows(parent, method, place, columns) {
    const clip = data.clips[place];
    const rows = clip.frames.map(function (frame, position) {
      const mine = data.metrics.map((metric) => (values(clip, metric, method) || [])[position]);
      return make("tr", { className: "inner frame-row" }, make("th", { scope: "row" }, link(clip, frame, method)), ...cells(mine, columns));
    });
    parent.after(...rows);
    return rows;
  }

  /** A frame's name, as a button where the viewer has its picture. */
  function link(clip, frame, method) {
    const { hasPicture, openViewer } = window.deblurbench;
    const label = data.methods[method].label;
    if (!openViewer || !hasPicture(clip.name, frame, label)) return make("span", { className: "frame" }, frame);
    const button = make("button", { type: "button", className: "frame link", title: "Open the picture" }, frame);
    button.setAttribute("aria-label", "Frame " + frame + ", open the picture");
    button.addEventListener("click", () => openViewer(clip.name, frame, label));
    return button;
  }

  all("table.results tbody tr").forEach(function (row) {
    const label = row.children[0].dataset.sort;
    const method = data.methods.findIndex((m) => m.label === label);
    const known = data.clips.some((c) => Object.values(c.means).some((means) => means[method] !== null && means[method] !== undefined));
    if (!known) return;
    row.querySelector(".name").prepend(opener("Clips of " + label, () => clipRows(row, method)));
  });
})();
