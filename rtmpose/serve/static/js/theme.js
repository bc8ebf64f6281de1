// Before anything is shown, so that the page does not flash in the other colors.
{
  let theme = "auto";
  try {
    theme = JSON.parse(localStorage.getItem("rtmpose.settings") ?? "{}").theme ?? "auto";
  } catch {
    // No storage, or something else in it.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
