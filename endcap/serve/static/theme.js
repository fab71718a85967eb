// Before anything is painted: light or dark as the person chose on this browser; else the system's choice holds.
try {
  document.documentElement.dataset.theme = localStorage.getItem("endcap.theme") ?? "system";
} catch {
  document.documentElement.dataset.theme = "system";
}
