// What tests/web/test_accessibility.py runs in each page, after axe-core.
window.look = (function () {
  "use strict";
  const short = (element, most = 140) => element.outerHTML.slice(0, most);

  // Whether what the page fetches is there.
  function loaded() {
    const loading = ["file-rows", "result-list", "log-file"].map((id) => document.getElementById(id));
    return document.readyState === "complete" && !loading.some((one) => one && one.textContent.includes("Loading"));
  }

  // All that is folded up, and the first question before an action: they lie upon others, and one is open at a time.
  function unfold() {
    document.querySelectorAll("details:not(.sure)").forEach((one) => (one.open = true));
    const question = document.querySelector("details.sure");
    if (question) question.open = true;
  }

  // A page is moved up and down, not sideways as well.
  function wider() {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const wide = [...document.querySelectorAll("main *")].filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1);
    return [`${root.scrollWidth} wide in a window of ${root.clientWidth}: ${wide.slice(0, 3).map((one) => short(one)).join(" | ")}`];
  }

  // By how much something that cuts off its content cuts off an outline, in pixels; and what that is.
  function cutOff(element, outside) {
    const box = element.getBoundingClientRect();
    for (let around = element.parentElement; around && around !== document.body; around = around.parentElement) {
      const style = getComputedStyle(around);
      const edge = around.getBoundingClientRect();
      const over = [];
      // What is wider than its window shows two sides of four.
      if (style.overflowX !== "visible" && box.width <= edge.width) over.push(edge.left - box.left + outside, box.right + outside - edge.right);
      if (style.overflowY !== "visible") over.push(edge.top - box.top + outside, box.bottom + outside - edge.bottom);
      if (over.some((pixels) => pixels > 1.5)) return around;
      if (style.position === "fixed") return null;
    }
    return null;
  }

  // What the keyboard comes to has an outline that can be seen, its own or, where it is hidden itself, its label's. A
  // list of 200 rows has few kinds of what can be focused: two of each are looked at.
  function unseenFocus() {
    const wrong = [];
    const kinds = new Map();
    const all = document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]");
    for (const one of all) {
      if (one.tabIndex < 0 || one.disabled || !one.checkVisibility({ visibilityProperty: true })) continue;
      const { parentElement: around } = one;
      const kind = [one.tagName, one.className, one.type, around.className, around.tagName].join();
      kinds.set(kind, (kinds.get(kind) || 0) + 1);
      if (kinds.get(kind) > 2) continue;
      one.focus({ focusVisible: true });
      const shown = one.classList.contains("visually-hidden") ? one.labels[0] : one;
      const style = getComputedStyle(shown);
      const width = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth);
      const cut = cutOff(shown, parseFloat(style.outlineOffset) + width);
      if (document.activeElement !== one) wrong.push(`cannot be focused: ${short(shown)}`);
      else if (width < 2) wrong.push(`no outline when it is focused: ${short(shown)}`);
      else if (cut) wrong.push(`its outline is cut off by ${short(cut, 60)}: ${short(shown)}`);
    }
    document.activeElement.blur();
    return wrong;
  }

  async function rules(options) {
    const { violations } = await axe.run(document, { ...options, resultTypes: ["violations"], iframes: false, preload: false });
    const line = (rule, node) => `${rule.id} (${rule.help}): ${node.target.join(" ")}: ${node.html.slice(0, 160)}: ${node.failureSummary}`;
    return violations.flatMap((rule) => rule.nodes.map((node) => line(rule, node)));
  }

  return { loaded, unfold, wider, unseenFocus, rules };
})();
