// Before the first paint: take the colour scheme from Airflow around this page, or from Airflow's own setting.
// And keep the window around it in step: its title, and what its menu entry for this very frame leads to.
(function () {
  "use strict";
  var root = document.documentElement;
  var outside = null;
  try {
    if (window.parent !== window) outside = window.parent.document.documentElement;
  } catch (error) {
    outside = null; // framed by somebody else: nothing to follow
  }
  function apply() {
    var chosen = null;
    if (outside) chosen = outside.classList.contains("dark") ? "dark" : "light";
    else {
      try {
        chosen = window.localStorage.getItem("theme");
      } catch (error) {
        chosen = null;
      }
    }
    if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
    else delete root.dataset.theme;
  }
  if (outside) {
    root.dataset.framed = "";
    new MutationObserver(apply).observe(outside, { attributes: true, attributeFilter: ["class"] });
    frame(window.parent.document);
  }
  apply();

  function frame(outer) {
    // Airflow moves the frame where its address says, but not back to the entry's root: that address says nothing.
    function menu(event) {
      var link = event.target.closest("a[href]");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      var inside = window.parent.location.pathname;
      var entry = new URL(link.href).pathname;
      if (!/^(.*)\/plugin\/[^/]+$/.test(entry) || !(inside + "/").startsWith(entry + "/")) return;
      var name = entry.split("/plugin/market")[1]; // "" or "-jobs"
      var root = name ? "/" + name.slice(1) + "/" : "/";
      window.location.href = entry.split("/plugin/")[0] + "/pluginsv2/market" + root;
    }
    var before = outer.title;
    function named() {
      outer.title = document.title;
    }
    document.addEventListener("DOMContentLoaded", named);
    window.addEventListener("load", function () { setTimeout(named, 300); }); // after Airflow's own
    outer.addEventListener("click", menu);
    window.addEventListener("pagehide", function () {
      outer.removeEventListener("click", menu);
      outer.title = before;
    });
  }
})();
