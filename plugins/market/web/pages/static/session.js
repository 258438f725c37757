// A session that ends while a page is open: the page says so, offers to log in, and keeps what was typed.
(function () {
  "use strict";
  const waiting = []; // what goes on when somebody has logged in again
  const who = document.body.dataset.member;
  const FRESH_MS = 20 * 60 * 1000; // the tokens of forms hold for an hour
  let notice = null;
  let tokensAt = Date.now();

  // Ask who is logged in; undefined: nobody, or the market does not answer, which says nothing of the session.
  async function look() {
    const answer = await fetch(`${market.api}/users/me`, { credentials: "same-origin", headers: { Accept: "application/json" } });
    return { status: answer.status, username: answer.ok ? (await answer.json()).username : undefined };
  }

  // Forms get the tokens that the server gives out now.
  async function renewTokens() {
    const token = (await market.page(window.location.href)).querySelector("input[name=csrf_token]");
    if (!token) return;
    for (const input of document.querySelectorAll("input[name=csrf_token]")) input.value = token.value;
    tokensAt = Date.now();
  }

  function say(words, offer) {
    if (!notice) {
      notice = document.createElement("p");
      notice.className = "notice warn";
      notice.id = "session";
      notice.setAttribute("role", "alert");
      document.getElementById("main").prepend(notice);
    }
    notice.textContent = `${words} `;
    if (offer) {
      const link = document.createElement("a");
      link.className = "button small";
      link.href = `${document.body.dataset.front}auth/login/`;
      link.textContent = "Log in";
      link.addEventListener("click", (event) => {
        event.preventDefault();
        market.leave(link.href, "_blank"); // beside this page, which stays as it is
      });
      notice.append(link);
    }
    notice.scrollIntoView({ block: "nearest" });
  }

  async function back() {
    if (!notice) return;
    const found = await look().catch(() => ({}));
    if (!found.username) return;
    if (found.username !== who) {
      say(`Now ${found.username} is logged in; this page is of ${who}. Reload it to go on.`, false);
      return;
    }
    notice.remove();
    notice = null;
    await renewTokens().catch(() => undefined);
    waiting.splice(0).forEach((work) => work());
  }

  market.session = {
    end() {
      if (who && !notice) say("Your session has ended. Log in in a second tab: this page stays as it is, with what you typed.", true);
    },
    whenBack(work) {
      market.session.end();
      waiting.push(work);
    },
    // Tell whether a form may be sent now; if the market does not answer, the browser's own words follow.
    async holds() {
      if (!who) return true;
      try {
        const found = await look();
        if (found.status === 401) {
          market.session.end();
          return false;
        }
        if (found.username && found.username !== who) {
          say(`Now ${found.username} is logged in; this page is of ${who}. Reload it to go on.`, false);
          return false;
        }
        if (Date.now() - tokensAt > FRESH_MS) await renewTokens();
      } catch (error) {
        return true;
      }
      return true;
    },
  };

  for (const name of ["focus", "visibilitychange"]) {
    (name === "focus" ? window : document).addEventListener(name, () => !document.hidden && back());
  }
  setInterval(() => notice && !document.hidden && back(), 5000);
})();
