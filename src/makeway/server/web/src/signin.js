// Sign in by a link: the token stands behind its `#`, which no browser sends to anybody. It is
// taken out of the address, and with that out of the history, before it is used.
export async function startSignIn() {
  const form = document.querySelector("form[data-signin]");
  if (!form || !location.hash.startsWith("#token=")) return;
  const token = decodeURIComponent(location.hash.slice("#token=".length));
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = token;
  form.requestSubmit();
}
