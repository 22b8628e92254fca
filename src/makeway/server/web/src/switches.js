// Small things that are pressed: light or dark, copy, ask before something is ended.
export function startSwitches() {
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-copy], #theme, [data-close]");
    if (!pressed) return;
    if (pressed.id === "theme") turn();
    else if (pressed.dataset.close !== undefined) pressed.closest("dialog").close();
    else copy(pressed);
  });
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });
  // A filter that is changed is applied at once; without scripts there is a button for it.
  document.addEventListener("change", (event) => {
    if (event.target.form?.dataset.now !== undefined) event.target.form.requestSubmit();
  });
}

function turn() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("makeway-theme", root.dataset.theme); } catch { /* for this page only */ }
  document.dispatchEvent(new Event("makeway:theme"));
}

async function copy(button) {
  const word = button.querySelector("[data-word]") ?? button;
  const before = word.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    word.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(document.getElementById(button.dataset.from) ?? button);
    word.textContent = "selected: press Ctrl-C";
  }
  setTimeout(() => { word.textContent = before; }, 1500);
}
