// One way to send a deed to the API and to say in words what came of it.

export const $ = (id) => document.getElementById(id);

// The mistake in words, or nothing.
export async function send(address, body) {
  try {
    const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json", "endcap-person": encodeURIComponent(document.body.dataset.person) }, body: JSON.stringify(body) });
    return answer.ok ? "" : (await answer.json()).error.message;
  } catch {
    return "The server does not answer; nothing was stored.";
  }
}

export function tell(id, words) {
  $(id).hidden = !words;
  $(id).textContent = words;
}

// A dialog that asks for what is needed, sends it, and shows the page anew or another one; a mistake is said where it was made.
export function ask(dialog, first, mistake, doing, address = location.href) {
  tell(mistake, "");
  const button = $(`${dialog}-do`);
  button.onclick = async () => {
    button.disabled = true;
    const wrong = await doing();
    button.disabled = false;
    tell(mistake, wrong);
    if (wrong) return;
    if (address === location.href) location.reload();
    else location.assign(address);
  };
  $(dialog).showModal();
  $(first).focus();
}

// Enter in a field presses a button, the first of this selector; else it would press the dialog's first one, which cancels. A word being composed goes on.
export function enters(field, button) {
  $(field)?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    document.querySelector(button)?.click();
  });
}
