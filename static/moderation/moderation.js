// The admin site's forms work without this. It adds: select all, the board as one types, and the progress
// of an action on many players, who are then sent one at a time.

const PAUSE_MS = 300;

const list = document.querySelector('[data-part="list"]');
const act = document.querySelector('[data-part="act"]');
const bulk = document.querySelector('[data-part="bulk"]');

if (list && list.querySelector('[data-part="all"]')) selectable(list);
if (act) previewing(act);
if (bulk) oneByOne(bulk);

function selectable(form) {
  const all = form.querySelector('[data-part="all"]');
  const each = [...form.querySelectorAll('input[name="player"]')];
  const count = form.querySelector('[data-part="count"]');
  const tell = () => {
    const chosen = each.filter((box) => box.checked).length;
    count.textContent = chosen ? `${chosen} selected` : "";
    all.checked = chosen === each.length;
    all.indeterminate = chosen > 0 && chosen < each.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of each) box.checked = all.checked;
    tell();
  });
  form.addEventListener("change", tell);
  tell(); // a browser that came back may have kept the boxes
}

function previewing(form) {
  let timer, newest = 0;
  form.addEventListener("input", (event) => {
    if (event.target.name === "reason") return;
    clearTimeout(timer);
    timer = setTimeout(show, PAUSE_MS);
  });

  async function show() {
    const turn = ++newest;
    const body = new URLSearchParams(new FormData(form));
    body.set("preview", "only");
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const preview = page.getElementById("preview");
      if (preview && turn === newest) document.getElementById("preview").replaceWith(document.adoptNode(preview));
    } catch {
      // The button shows it as well, and says what is wrong.
    }
  }
}

function oneByOne(form) {
  const progress = form.querySelector('[data-part="progress"]');
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.running) return;
    form.dataset.running = "yes";
    const fields = [...new FormData(form)].filter(([name]) => name !== "item");
    const rows = [...form.querySelectorAll("tr[data-item]")].filter((row) => row.dataset.outcome !== "done");
    const bar = progress.querySelector("progress");
    const words = progress.querySelector("span");
    const button = form.querySelector('button[type="submit"]');
    let done = 0, failed = 0;
    button.disabled = true;
    progress.hidden = false;
    bar.max = rows.length;
    for (const row of rows) {
      bar.value = done + failed;
      words.textContent = `${done + failed} of ${rows.length}`;
      const { outcome, text } = await send(fields, row.dataset.item);
      row.dataset.outcome = outcome;
      row.querySelector('[data-part="result"]').textContent = text;
      if (outcome === "done") done += 1; else failed += 1;
      if (outcome === "invalid") break;
    }
    bar.value = done + failed;
    words.textContent = failed ? `${done} done, ${failed} not: see there` : `${done} done`;
    button.disabled = failed === 0;
    delete form.dataset.running;
  });

  async function send(fields, item) {
    try {
      const body = new URLSearchParams([...fields, ["item", item]]);
      const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
      if (!answer.headers.get("Content-Type").startsWith("application/json")) {
        return { outcome: "failed", text: answer.status === 200 ? "Not sent: sign in again." : `Not done (${answer.status}).` };
      }
      const { results, detail } = await answer.json();
      return results ? results[0] : { outcome: "invalid", text: detail };
    } catch {
      return { outcome: "failed", text: "The server did not answer. Send the form again: nobody is moderated twice." };
    }
  }
}
