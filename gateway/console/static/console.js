// What the console does beyond plain pages: local times, copying, and pages that follow what happens. Everything works without it.
"use strict";

(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const hours = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }; // as in logs, and whatever the language
  const clock = { month: "short", day: "numeric", ...hours, second: "2-digit" };
  const recent = new Intl.DateTimeFormat(undefined, clock);
  const long = new Intl.DateTimeFormat(undefined, { ...clock, year: "numeric" });
  const hour = new Intl.DateTimeFormat(undefined, hours);
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

  // Times: UTC in the page, local here; the absolute UTC time stays in the title.
  const ago = (moment) => {
    const seconds = (moment - Date.now()) / 1000;
    const steps = [["second", 60], ["minute", 60], ["hour", 24], ["day", 365], ["year", Infinity]];
    let value = seconds;
    for (const [unit, length] of steps) {
      if (Math.abs(value) < length) return words.format(Math.round(value), unit);
      value /= length;
    }
    return "";
  };
  const localise = (root) => {
    for (const time of all("time[datetime]", root)) {
      const moment = new Date(time.getAttribute("datetime"));
      if (Number.isNaN(moment.getTime())) continue;
      const short = time.dataset.short;
      if (short) {
        time.textContent = short === "day" ? day.format(moment) : hour.format(moment);
        continue;
      }
      time.title = `${moment.toISOString().replace("T", " ").replace(/\.\d+Z$/, "")} UTC, ${ago(moment)}`;
      const near = Math.abs(moment - Date.now()) < 180 * 86400000;
      const told = (near ? recent : long).format(moment);
      time.textContent = time.dataset.ago === undefined ? told : `${told} (${ago(moment)})`;
    }
  };

  // On a narrow screen a row becomes a block (console.css), where each cell says which column it is.
  const tell = (root) => {
    for (const table of all("table.rows, table.compare", root)) {
      const heads = all("thead tr:last-child > *", table).map((head) => head.textContent.trim().replace(/\s+/g, " "));
      for (const row of all("tbody > tr, tfoot > tr", table)) {
        Array.from(row.children).forEach((cell, place) => {
          if (heads[place] && cell.tagName === "TD") cell.dataset.head = heads[place];
          if (["", "–"].includes(cell.textContent.trim()) && !cell.querySelector("a, form, input, svg")) cell.dataset.none = "";
        });
      }
      table.classList.add("told");
    }
  };
  const polish = (root) => {
    localise(root);
    tell(root);
  };

  const copying = (root) => {
    if (!navigator.clipboard) return;
    for (const button of all("button[data-copy]", root)) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        const label = button.textContent;
        await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = label; }, 1500);
      });
    }
  };

  const badge = (needs) => {
    for (const count of all("[data-needs]")) {
      count.textContent = needs;
      count.hidden = !needs;
    }
  };

  // A region is replaced by its newer self, unless somebody is in it: typing, choosing, or with something opened.
  const isBusy = (region) => region.contains(document.activeElement) || region.querySelector("details[open]");
  const renew = async () => {
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, credentials: "same-origin" });
      if (answer.status === 401) return over();
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of all("[data-region]")) {
        const newer = page.querySelector(`[data-region="${region.dataset.region}"]`);
        if (!newer || isBusy(region)) continue;
        polish(newer);
        if (newer.innerHTML !== region.innerHTML) {
          region.replaceWith(document.adoptNode(newer));
          copying(newer);
        }
      }
      const count = page.querySelector("[data-needs]");
      if (count) badge(count.hidden ? "" : count.textContent);
    } catch {
      // The gateway is away for a moment; the stream comes back by itself.
    }
  };

  // What changes while a page is fetched may be missing in it: then it is fetched once more.
  let refreshing = false;
  let behind = false;
  const refresh = async () => {
    behind = true;
    if (refreshing) return;
    refreshing = true;
    while (behind) {
      behind = false;
      await renew();
    }
    refreshing = false;
  };

  const over = () => {
    for (const told of all("[data-over]")) told.hidden = false;
    close();
  };

  const changed = (state) => {
    if (typeof state.new === "number") {
      const pill = document.querySelector("[data-pill]");
      if (!pill) return;
      pill.hidden = state.new === 0;
      pill.textContent = state.new >= 100 ? "100+ new – show" : `${state.new} new – show`;
      return;
    }
    if (typeof state.needs === "string") badge(state.needs);
    for (const told of all("[data-stale]")) told.hidden = false;
    refresh();
  };

  // The gateway is away when the stream stays broken for a while; what is shown may be old then.
  let missing = 0;
  const away = (is) => {
    if (is) {
      missing = missing || setTimeout(() => { for (const told of all("[data-away]")) told.hidden = false; }, 6000);
      return;
    }
    clearTimeout(missing);
    missing = 0;
    for (const told of all("[data-away]")) told.hidden = true;
  };

  // A form that was sent says so until its answer comes, and is not sent twice.
  const sending = (event) => {
    const { target, submitter } = event;
    if (event.defaultPrevented || target.method !== "post" || !submitter) return;
    if (target.dataset.sent) return event.preventDefault();
    target.dataset.sent = "yes";
    submitter.setAttribute("aria-busy", "true");
  };
  const sendable = () => {
    for (const form of all("form[data-sent]")) {
      delete form.dataset.sent;
      for (const button of all("[aria-busy]", form)) button.removeAttribute("aria-busy");
    }
  };

  let stream = null;
  let later = 0;
  const close = () => {
    clearTimeout(later);
    if (stream) stream.close();
    stream = null;
  };
  const open = () => {
    const address = document.body.dataset.live;
    if (!address || stream || document.hidden) return;
    stream = new EventSource(address);
    stream.addEventListener("open", () => away(false));
    stream.addEventListener("change", (event) => changed(JSON.parse(event.data)));
    stream.addEventListener("over", over);
    stream.addEventListener("error", () => {
      away(true);
      if (stream && stream.readyState === EventSource.CLOSED) {
        close();
        later = setTimeout(open, 30000);
        refresh();
      }
    });
  };

  polish(document);
  setInterval(() => localise(document), 30000); // how long ago changes while one looks
  copying(document);
  const here = document.querySelector("nav.main [aria-current]");
  if (here) here.parentElement.parentElement.parentElement.scrollLeft = Math.max(0, here.offsetLeft - 32);
  const zone = document.querySelector("[data-zone]");
  if (zone) zone.textContent = `Times are yours (${Intl.DateTimeFormat().resolvedOptions().timeZone}); UTC is in each title.`;
  // A hidden page follows nothing: browsers open only a few connections to one host, for all tabs together.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  document.addEventListener("submit", sending);
  addEventListener("pageshow", sendable);
  addEventListener("pagehide", close);
  open();
})();
