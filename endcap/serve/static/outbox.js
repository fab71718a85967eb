// Decisions on their way: kept in the browser under their person's name until the server has them, sent in batches, each stored once by its key.
// All tabs of a person share what is kept: one at a time sends it or takes of it back, so that no tab takes back what another is just sending.

const BATCH = 50;
const LONGEST_WAIT_MS = 8000;

// Answers that met another person's, by what they are about: kept until their giver settles which of the two holds.
export class Conflicts {
  constructor(stored) {
    this.stored = `${stored} ${document.body.dataset.person}`;
  }

  _all() {
    try {
      return new Map(JSON.parse(localStorage.getItem(this.stored)) ?? []);
    } catch {
      return new Map();
    }
  }

  _change(change) {
    const all = this._all();
    change(all);
    localStorage.setItem(this.stored, JSON.stringify([...all]));
  }

  all() {
    return [...this._all().values()];
  }

  has(name) {
    return this._all().has(name);
  }

  get(name) {
    return this._all().get(name);
  }

  set(name, conflict) {
    this._change((all) => all.set(name, conflict));
  }

  delete(name) {
    this._change((all) => all.delete(name));
  }
}

export class Outbox {
  constructor({ onOutcome, onState, onRefused, address = "/api/v1/review/decisions", stored = "endcap.outbox" }) {
    this.address = address;
    this.person = document.body.dataset.person;
    this.stored = `${stored} ${this.person}`;
    this.onOutcome = onOutcome;
    this.onState = onState;
    this.onRefused = onRefused;
    this.sending = null;
    this.undoing = null;
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
    this.undoing = null; // an undo from now on means these
    this.send();
  }

  // How many wait here, in words.
  kept(noun) {
    const n = this.all().length;
    return n === 1 ? `1 ${noun} is kept here` : `${n || "no"} ${noun}s are kept here`;
  }

  // The newest that nobody has sent yet, or the newest on an offer, taken back; null where all are on their way.
  async takeBack(offerId = null) {
    if (this.sending) return null;
    return navigator.locks.request(this.stored, { ifAvailable: true }, (mine) => mine && this._takeBack(offerId));
  }

  _takeBack(offerId) {
    const all = this.all();
    const last = offerId === null ? all.at(-1) : all.findLast((one) => one.offer_id === offerId);
    if (!last) return null;
    const group = last.group_id ? all.filter((one) => one.group_id === last.group_id) : [last];
    this._write(all.filter((one) => !group.includes(one)));
    return group;
  }

  // What the server has is taken back there, one after the other, under a key that stays until it answers: asked again, it takes nothing more back.
  undoStored(asked) {
    const mine = (this.before ?? Promise.resolve()).catch(() => null).then(() => this._undoStored(asked));
    this.before = mine;
    return mine;
  }

  async _undoStored(asked) {
    const about = JSON.stringify(asked);
    if (this.undoing?.about !== about) this.undoing = { about, key: crypto.randomUUID() };
    const answer = await fetch("/api/v1/review/undo", { method: "POST", headers: this.headers(), body: JSON.stringify({ ...asked, key: this.undoing.key }) });
    if (!answer.ok) return { ok: false, status: answer.status };
    const told = await answer.json();
    this.undoing = null;
    return { ok: true, told };
  }

  // Whose deed it is goes along: a page left open does nothing under the name of who signed in since.
  headers() {
    return { "content-type": "application/json", "endcap-person": encodeURIComponent(this.person) };
  }

  send() {
    this.sending ??= navigator.locks.request(this.stored, () => this._sendAll()).finally(() => {
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
          method: "POST", headers: this.headers(), body: JSON.stringify({ decisions: batch }), keepalive: batch.length < 20,
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
