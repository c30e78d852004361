// What the address says of the page beside the viewer: the table's order, the metric, the scale, methods switched off.
"use strict";
(function () {
  const shared = window.deblurbench;
  const { all } = shared;

  function restore() {
    const { sort, metric, scale, off } = shared.address.page(), lacking = [];
    if (sort && !shared.sortTable(...sort.split(","))) lacking.push("no column " + sort.split(",")[0]);
    if (metric && !shared.chooseMetric(metric)) lacking.push("no plots of " + metric);
    if (scale && shared.chooseScale) shared.chooseScale(scale);
    off.forEach((label) => { if (!shared.switchMethod(label, false)) lacking.push("no method " + label); });
    if (lacking.length) shared.notice("Of what the address names this report lacks: " + lacking.join("; ") + ".");
  }

  /** A line at the head of the page; empty text takes it away. */
  shared.notice = function (text) {
    all("#notice").forEach((box) => { box.hidden = !text; box.textContent = text; });
  };
  restore();
})();
