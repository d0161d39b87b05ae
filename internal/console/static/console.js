// The frame's script: it moves the token from the address's fragment into a header, loads the content of the page, and says so
// when the server is gone. htmx does everything else.
"use strict";
(() => {
  const header = "X-Console-Token", key = "console-token";
  const view = () => document.getElementById("view");
  let lastLive = "";

  // takeToken keeps the token for this tab and takes it out of the address, so that no bookmark and no step back has it. The browser's
  // list of visited pages may have the address as it was opened: the token ends with the command.
  function takeToken() {
    const found = /^#([A-Z2-7]{26})$/.exec(location.hash);
    if (!found) return false;
    sessionStorage.setItem(key, found[1]);
    history.replaceState(history.state, "", location.pathname + location.search);
    return true;
  }

  function locked() {
    sessionStorage.removeItem(key);
    view().replaceChildren(document.getElementById("no-token").content.cloneNode(true));
    document.title = "License Deactivator";
  }

  // A tab that a link opened asks the other tabs of this origin for the token.
  const tabs = new BroadcastChannel(key);
  tabs.onmessage = (e) => {
    const own = sessionStorage.getItem(key);
    if (e.data === "ask") {
      if (own) tabs.postMessage({ token: own });
    } else if (!own && e.data.token) {
      sessionStorage.setItem(key, e.data.token);
      load();
    }
  };

  // A click that opens a tab or a window is the browser's: htmx would load the page in this one.
  document.addEventListener("click", (e) => {
    if ((e.ctrlKey || e.metaKey || e.shiftKey) && e.target.closest("a[href]")) e.stopImmediatePropagation();
  }, true);

  function load() {
    mark();
    if (!sessionStorage.getItem(key)) {
      locked();
      tabs.postMessage("ask");
      return;
    }
    const path = location.pathname === "/" ? "/overview" : location.pathname;
    htmx.ajax("GET", "/view" + path + location.search, { target: "#view", swap: "innerHTML" }).catch(() => {});
  }

  // mark shows in the navigation where the reader is.
  function mark() {
    for (const link of document.querySelectorAll("nav [data-page]")) {
      if (link.dataset.page.split(" ").includes(location.pathname)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  function lost(text) {
    const banner = document.getElementById("lost");
    banner.hidden = !text;
    if (text) banner.textContent = text;
    document.body.classList.toggle("is-lost", Boolean(text));
  }

  const isLive = (element) => element && element.id === "live";

  addEventListener("htmx:configRequest", (e) => { e.detail.headers[header] = sessionStorage.getItem(key) || ""; });

  // A page that nobody sees asks for nothing.
  addEventListener("htmx:beforeRequest", (e) => { if (isLive(e.detail.elt) && document.hidden) e.preventDefault(); });

  addEventListener("htmx:beforeSwap", (e) => {
    const { xhr, target, requestConfig } = e.detail;
    if (xhr.status === 401) {
      e.detail.shouldSwap = false;
      locked();
    } else if (isLive(requestConfig.elt)) {
      if (xhr.status >= 400) {
        e.detail.shouldSwap = false;
        lost("The page could not be updated (" + xhr.status + "). It tries again.");
      } else if (xhr.responseText === lastLive) {
        e.detail.shouldSwap = false; // nothing is new: a reader's selection stays
      } else {
        lastLive = xhr.responseText;
      }
    } else if (target === view()) {
      lastLive = "";
    }
  });

  addEventListener("htmx:afterRequest", (e) => {
    if (!e.detail.xhr || e.detail.xhr.status === 0) return;
    if (e.detail.xhr.status < 400) lost("");
    const updated = document.getElementById("updated");
    if (updated && isLive(e.detail.requestConfig && e.detail.requestConfig.elt) && e.detail.xhr.status < 400) {
      updated.textContent = "Live · " + new Date().toISOString().slice(11, 19) + " UTC";
    }
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    addEventListener(name, () => lost("licensectl does not answer: it has ended, or is busy. This page shows what it knew. Start it again and open the address that it prints."));
  }

  addEventListener("htmx:afterSettle", (e) => {
    mark();
    if (e.detail.target === view() && e.detail.requestConfig && e.detail.requestConfig.elt !== document.body) view().focus({ preventScroll: true });
  });

  addEventListener("keydown", (e) => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
    const search = document.querySelector("[data-search]");
    if (search) { e.preventDefault(); search.focus(); }
  });

  addEventListener("hashchange", () => { if (takeToken()) load(); });
  takeToken();
  addEventListener("DOMContentLoaded", load);
})();
