// The dialog of the style page.
document.getElementById("open-dialog").addEventListener("click", () => document.getElementById("sample-dialog").showModal());
