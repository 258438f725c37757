// The code of a mailed address stands behind its #, which no server and no log sees: into the form with it.
(function () {
  "use strict";
  const field = document.getElementById("code");
  const given = window.location.hash.slice(1);
  if (!field || !/^[\w-]{20,128}$/.test(given)) return;
  field.value = given;
  window.history.replaceState(null, "", window.location.pathname);
})();
