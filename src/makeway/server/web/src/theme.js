// Set light or dark before anything is painted, if somebody chose one; else the system decides.
try {
  const chosen = localStorage.getItem("makeway-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage here: the system decides */ }
