// Decisions on their way: kept in the browser under their person's name until the server has them, sent in batches, each stored once by its key.

const BATCH = 50;
const LONGEST_WAIT_MS = 8000;

export class Outbox {
  constructor({ onOutcome, onState, onRefused, address = "/api/v1/review/decisions", stored = "endcap.outbox" }) {
    this.address = address;
    this.person = document.body.dataset.person;
    this.stored = `${stored} ${this.person}`;
    this.onOutcome = onOutcome;
    this.onState = onState;
    this.onRefused = onRefused;
    this.sending = null;
    this.wait = 250;
  }

  all() {
    try {
      return JSON.parse(localStorage.getItem(this.stored)) || [];
    } catch {
      return [];
    }
  }

  _write(decisions) {
    localStorage.setItem(this.stored, JSON.stringify(decisions));
  }

  add(decisions) {
    this._write([...this.all(), ...decisions]);
    this.send();
  }

  takeBack(offerId = null) {
    // The newest that nobody has sent yet, or the newest on an offer; null where all are on their way.
    if (this.sending) return null;
    const all = this.all();
    const last = offerId === null ? all.at(-1) : all.findLast((one) => one.offer_id === offerId);
    if (!last) return null;
    const group = last.group_id ? all.filter((one) => one.group_id === last.group_id) : [last];
    this._write(all.filter((one) => !group.includes(one)));
    return group;
  }

  send() {
    this.sending ??= this._sendAll().finally(() => {
      this.sending = null;
      if (this.all().length && this.retry) setTimeout(() => this.send(), this.wait);
    });
    return this.sending;
  }

  async _sendAll() {
    this.retry = false;
    let alone = false; // after a refusal each goes by itself, so that one that cannot be stored takes no other with it
    for (let all = this.all(); all.length; all = this.all()) {
      const first = all[0];
      const batch = first.group_id ? all.filter((one) => one.group_id === first.group_id) : all.filter((one) => !one.group_id).slice(0, alone ? 1 : BATCH);
      let answer;
      try {
        answer = await fetch(this.address, {
          method: "POST", headers: { "content-type": "application/json", "endcap-person": encodeURIComponent(this.person) }, body: JSON.stringify({ decisions: batch }), keepalive: batch.length < 20,
        });
      } catch {
        return this._later("offline");
      }
      if (answer.status === 401) return this._later("signed out");
      if (answer.status === 403) return this._later("forbidden");
      if (answer.status === 422 && batch.length > 1 && !first.group_id) {
        alone = true;
        continue;
      }
      if (answer.status === 422) {
        this._drop(batch);
        this.onRefused(batch, (await answer.json()).error);
        continue;
      }
      if (!answer.ok) return this._later("failing");
      const { outcomes } = await answer.json();
      this._drop(batch);
      this.wait = 250;
      this.onState("online");
      for (const outcome of outcomes) this.onOutcome(outcome, batch.find((one) => one.key === outcome.key));
    }
  }

  _drop(batch) {
    const gone = new Set(batch.map((one) => one.key));
    this._write(this.all().filter((one) => !gone.has(one.key)));
  }

  _later(state) {
    this.retry = true;
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
    this.onState(state);
  }
}
