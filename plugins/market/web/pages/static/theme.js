// Before the first paint: take the colour scheme from Airflow around this page, or from Airflow's own setting.
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
  }
  apply();
})();
