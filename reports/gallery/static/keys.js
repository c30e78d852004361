// The viewer's keyboard: keys work wherever the focus is, and controls hand the focus back once they are used.
"use strict";
(function () {
  const shared = window.deblurbench;
  const ARROWS = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown", "Enter", " ", "Tab"];
  const NUMBER_WAIT = 2000;  // milliseconds to type the two digits of a method's number

  /** What a focused control does with a key itself: lists take arrows, number fields take everything that is no letter. */
  function keepsKey(element, key) {
    if (!element || !element.tagName) return false;
    if (element.tagName === "TEXTAREA") return true;
    if (element.tagName === "INPUT") return element.type !== "range" && element.type !== "checkbox" ? !/^[a-df-z?]$/i.test(key) : ARROWS.includes(key);
    if (element.tagName === "SELECT") return ARROWS.includes(key);
    return (element.tagName === "BUTTON" || element.tagName === "SUMMARY") && (key === " " || key === "Enter");
  }

  /**
   * Listens on the document while `dialog` is open. `home` gets the focus back after a click or a choice from a list.
   * `on` holds actions by key, digit(place, second) for 1 to 9 and for numbers typed after M, and held(whether Shift is down).
   */
  shared.makeKeys = function (dialog, home, on) {
    let number = null, held = false, waiting = null;  // number: the digits typed so far after M

    function press(event) {
      if (!dialog.open || event.defaultPrevented || event.ctrlKey || event.metaKey) return;
      if (event.key === "Shift") { hold(true); return; }
      if (keepsKey(event.target, event.key)) return;
      const digit = /^(?:Digit|Numpad)([0-9])$/.exec(event.code), name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (digit && number !== null) typed(digit[1]);
      else if (digit && digit[1] !== "0" && !event.shiftKey) on.digit(Number(digit[1]) - 1, event.altKey);
      else if (name === "m" && !event.altKey) { number = ""; on.asked(); clearTimeout(waiting); waiting = setTimeout(() => { number = null; }, NUMBER_WAIT); }
      else if (!event.altKey && on.keys[name]) on.keys[name]();
      else return;
      event.preventDefault();
    }

    function typed(digit) {
      number += digit;
      if (number.length < 2) return;
      const place = Number(number) - 1;
      number = null;
      on.digit(place, false);
    }

    function hold(down) {
      if (held === down) return;
      held = down;
      on.held(down);
    }

    document.addEventListener("keydown", press);
    document.addEventListener("keyup", (event) => { if (event.key === "Shift") hold(false); });
    window.addEventListener("blur", () => hold(false));  // Shift may be let go elsewhere
    dialog.addEventListener("close", () => hold(false));

    const back = () => { if (dialog.open) home.focus({ preventScroll: true }); };
    dialog.addEventListener("click", function (event) {  // by pointer only: who tabs to a button stays there
      if (event.detail > 0 && !event.target.closest("select, input, textarea, a, pre")) back();
    });
    dialog.addEventListener("pointerup", (event) => { if (event.target.closest("[role=slider]")) setTimeout(back); });
    let byArrow = false;
    dialog.addEventListener("keydown", (event) => { byArrow = ARROWS.includes(event.key) && event.key !== "Enter"; }, true);
    dialog.addEventListener("pointerdown", () => { byArrow = false; }, true);
    dialog.addEventListener("change", function (event) {
      const { tagName, type } = event.target;
      if (byArrow || (tagName === "INPUT" && type === "number")) return;
      if (["SELECT", "INPUT"].includes(tagName)) back();
    });
  };
})();
