// What the pages do beyond their HTML. Everything works without it but sliders, locks, the live sum, the local zone and the palette as a dialog (its page needs none).
(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");
  const $$ = (selector, within) => [...(within || document).querySelectorAll(selector)];

  // Age: counts on between two messages, so that a dead stream shows, and disables what steers when figures are too old.
  const staleMS = 5000, oldMS = 15000;
  let began = performance.now(), shown = "";
  const age = () => {
    const item = document.getElementById("age");
    if (!item || !item.hasAttribute("data-known")) return;
    if (item.dataset.figures !== shown) { shown = item.dataset.figures; began = performance.now(); }
    const ms = Number(item.dataset.age) + (performance.now() - began);
    const text = (ms / 1000).toFixed(1) + " s", b = item.querySelector("b");
    if (b && b.textContent !== text) b.textContent = text;
    item.className = "status-item " + (ms > oldMS ? "is-bad" : ms > staleMS ? "is-warn" : "is-ok");
    const alarm = document.getElementById("alarm");
    if (ms > oldMS && !alarm.querySelector("[data-frozen]")) {
      const p = document.createElement("p");
      p.className = "alarm"; p.dataset.frozen = ""; p.dataset.own = "";
      p.textContent = "These figures are old: the page hears nothing. Nothing can be steered by them; agents go on.";
      alarm.replaceChildren(p);
    } else if (ms <= oldMS) alarm.querySelector("[data-own]")?.remove();
    const frozen = !!alarm.querySelector("[data-frozen]");
    for (const set of $$("fieldset[data-steers]")) if (set.disabled !== frozen) set.disabled = frozen;
  };
  setInterval(age, 250);
  document.addEventListener("htmx:after:swap", age);

  // Zone: the server renders times; only the browser knows where it is.
  const zone = document.getElementById("zone");
  if (zone && zone.value === "local") zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

  // The command below the faults is that of the button under the pointer or the focus, with what is chosen.
  const command = (button) => {
    const form = button.form, shown = form.querySelector("[data-shown]");
    shown.textContent = button.dataset.command.replace(/\{(\w+)\}/g, (all, name) => form.elements[name]?.value || all);
  };
  for (const form of $$("form.faults")) {
    let last = form.querySelector("button[data-command]");
    const follow = (e) => { last = e.target.closest("button[data-command]") || last; if (last) command(last); };
    for (const kind of ["pointerover", "focusin", "change"]) form.addEventListener(kind, follow);
  }

  // A replay that takes longer than a moment shows how much of its time is gone, and can be cancelled.
  for (const box of $$("[data-replay]")) {
    const time = box.querySelector("[data-replay-time]"), says = box.querySelector("[data-replay-says]"), asked = performance.now();
    const tick = setInterval(() => {
      if (!box.isConnected) { clearInterval(tick); return; }
      const gone = performance.now() - asked;
      time.hidden = gone < 800;
      time.querySelector("progress").value = Math.min(gone / Number(box.dataset.replay), 1);
    }, 100);
    const end = (text) => {
      clearInterval(tick);
      time.remove();
      says.textContent = text;
      box.querySelector("[data-replay-again]").classList.remove("no-js");
    };
    time.querySelector("button").addEventListener("click", () => { end("Cancelled: nothing was replayed."); box.dispatchEvent(new Event("htmx:abort")); });
    box.addEventListener("htmx:error", () => { if (time.isConnected) end("The control plane did not answer: nothing was replayed."); });
  }

  // On a phone the pages' names are one line that scrolls: the one that is shown must be in sight.
  const current = document.querySelector(".side [aria-current]"), side = current?.closest(".side");
  if (side && side.scrollWidth > side.clientWidth) side.scrollLeft = current.offsetLeft - (side.clientWidth - current.offsetWidth) / 2;

  // Palette: a dialog (the browser keeps the focus in it and closes it on Escape) with a list that the arrows walk through.
  const palette = document.getElementById("palette"), mac = /Mac|iPhone|iPad/.test(navigator.platform);
  for (const key of $$("[data-key]")) key.textContent = mac ? "⌘ K" : "Ctrl K";
  if (palette) {
    const input = palette.querySelector("[data-palette-input]"), list = palette.querySelector("#palette-list"), status = palette.querySelector("[data-palette-status]");
    let entries = [], at = 0, asked = 0, timer = 0, found = null;
    const say = (text) => { if (status.textContent !== text) status.textContent = text; };
    const mark = () => {
      [...list.children].forEach((li, i) => li.setAttribute("aria-selected", String(i === at)));
      const now = list.children[at];
      if (now) { input.setAttribute("aria-activedescendant", now.id); now.scrollIntoView({ block: "nearest" }); } else input.removeAttribute("aria-activedescendant");
    };
    const span = (name, text) => { const e = document.createElement("span"); e.className = name; e.textContent = text; return e; };
    const draw = () => {
      list.replaceChildren(...entries.map((e, i) => {
        const li = document.createElement("li");
        li.id = "palette-" + i;
        li.setAttribute("role", "option");
        li.append(span("kind", e.kind), span("label", e.label), e.command ? span("mono", e.command) : span("muted", e.detail || ""));
        li.addEventListener("click", () => { at = i; go(); });
        li.addEventListener("pointermove", () => { if (at !== i) { at = i; mark(); } });
        return li;
      }));
      at = 0;
      mark();
      say(entries.length ? "↑ ↓ to choose, Enter to go or to copy, Esc to close" : "Nothing is called that.");
    };
    const ask = async () => {
      const mine = ++asked, q = input.value;
      try {
        const answer = await fetch("/go?q=" + encodeURIComponent(q), { headers: { Accept: "application/json" } });
        const list = (await answer.json()).entries || [];
        if (mine === asked) { entries = list; found = q; draw(); }
      } catch { if (mine === asked) { entries = []; draw(); say("The control plane does not answer."); } }
    };
    const go = async () => {
      const e = entries[at];
      if (!e) return;
      if (e.href) { location.assign(e.href); return; }
      try { await navigator.clipboard.writeText(e.command); say("Copied: " + e.command); } catch { say("Copy it by hand: " + e.command); }
    };
    const open = () => { if (palette.open) return; input.value = ""; found = null; palette.showModal(); input.focus(); ask(); };
    document.querySelector("[data-goto]").addEventListener("click", (e) => { if (!e.ctrlKey && !e.metaKey && !e.shiftKey) { e.preventDefault(); open(); } });
    document.addEventListener("keydown", (e) => {
      if ((e.ctrlKey || e.metaKey) && !e.shiftKey && !e.altKey && e.key.toLowerCase() === "k") { e.preventDefault(); palette.open ? palette.close() : open(); }
    });
    palette.addEventListener("click", (e) => { if (e.target === palette) palette.close(); });
    input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 60); });
    input.addEventListener("keydown", (e) => {
      const last = entries.length - 1;
      const to = { ArrowDown: at < last ? at + 1 : 0, ArrowUp: at > 0 ? at - 1 : last, PageDown: Math.min(at + 8, last), PageUp: Math.max(at - 8, 0) }[e.key];
      if (to !== undefined && last >= 0) { e.preventDefault(); at = to; mark(); }
      if (e.key === "Enter") { // of what is typed, not of what was found for half of it
        e.preventDefault();
        clearTimeout(timer);
        found === input.value ? go() : ask().then(go);
      }
    });
  }

  // Weights: number and slider are one; moving one slider moves the others that are not locked, so that the sum stays 100.
  const tenth = (x) => Math.round(x * 10) / 10;
  const read = (input) => Number(input.value.replace(",", ".")) || 0;
  for (const form of $$("form[data-weights]")) {
    const rows = $$("tbody tr", form).map((tr) => ({
      number: tr.querySelector("[data-number]"), range: tr.querySelector("[data-range]"), lock: tr.querySelector("[data-lock]"),
      fill: tr.querySelector(".slider .fill"),
    }));
    const sumText = form.querySelector("[data-sum]"), review = form.querySelector("[data-review]");
    const stack = form.parentElement.querySelector(".stack");
    const hues = rows.map((r) => [...r.number.closest("tr").classList].find((c) => c.startsWith("hue-")));
    const draw = () => {
      const values = rows.map((r) => read(r.number)), sum = tenth(values.reduce((a, b) => a + b, 0));
      const missing = tenth(100 - sum);
      const text = sum === 100 ? "sum 100 %" : `sum ${sum} %: ${Math.abs(missing)} % ${missing > 0 ? "missing" : "too much"}`;
      if (sumText.textContent !== text) sumText.textContent = text;
      sumText.classList.toggle("off", sum !== 100);
      review.disabled = sum !== 100 || rows.every((r) => r.number.value === r.number.dataset.number);
      rows.forEach((r, i) => r.fill && r.fill.setAttribute("width", Math.min(Math.max(values[i], 0), 100) + "%"));
      let x = 0;
      stack.replaceChildren(...values.flatMap((v, i) => {
        if (!(v > 0)) return [];
        const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
        for (const [k, value] of Object.entries({ class: hues[i], x: x + "%", width: v + "%", height: "100%" })) rect.setAttribute(k, value);
        x += v;
        return [rect];
      }));
    };
    // spread gives what is left to the rows that may move, by what they have.
    const spread = (moved) => {
      const free = rows.filter((r) => r !== moved && !r.lock.checked);
      const fixed = rows.filter((r) => r !== moved && r.lock.checked).reduce((a, r) => a + read(r.number), 0);
      let value = Math.min(Math.max(read(moved.number), 0), Math.max(100 - fixed, 0));
      if (!free.length) value = Math.max(100 - fixed, 0);
      moved.number.value = moved.range.value = tenth(value);
      const left = 100 - fixed - value, had = free.reduce((a, r) => a + read(r.number), 0);
      let given = 0;
      free.forEach((r, i) => {
        const share = had > 0 ? (read(r.number) / had) * left : left / free.length;
        const v = i === free.length - 1 ? tenth(left - given) : Math.round(share);
        given += v;
        r.number.value = r.range.value = Math.max(v, 0);
      });
    };
    for (const r of rows) {
      r.range.addEventListener("input", () => { r.number.value = r.range.value; spread(r); draw(); });
      r.number.addEventListener("input", () => { r.range.value = read(r.number); draw(); });
    }
    draw();
  }
})();
