"use strict";
/* Thumbnails of what is visible: one stream for all that miss, given up when the view moves on. */

class Thumbnails {
  constructor(source) {
    this.source = source;
    this.kept = new Map();
    this.listeners = new Set();
    this.wanted = [];
    this.most = 3000;
  }

  /** Return { url, isFinal, isLost } of a picture, or undefined. */
  get(index) {
    if (this.source instanceof Embedded) return { url: this.source.picture(index), isFinal: true, isLost: !this.source.picture(index) };
    return this.kept.get(index);
  }

  /** Ask for the thumbnails of some pictures, the most important first, instead of those asked for before. */
  want(indices) {
    if (this.source instanceof Embedded) return;
    this.wanted = indices;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), this.stream ? 90 : 0);
  }

  async load() {
    const missing = this.wanted.filter((index) => !this.kept.get(index)?.isFinal).slice(0, 400);
    if (this.stream?.running && missing.every((index) => this.stream.indices.has(index))) return;
    this.stream?.abort.abort();
    if (!missing.length) return;
    const stream = { abort: new AbortController(), indices: new Set(missing), running: true };
    this.stream = stream;
    try {
      await this.source.thumbnails(missing, (index, blob, isFinal) => this.put(index, blob, isFinal), stream.abort.signal);
    } catch (error) {
      if (error.name !== "AbortError") for (const listener of this.listeners) listener(null, error);
    } finally {
      stream.running = false;
    }
  }

  put(index, blob, isFinal) {
    const before = this.kept.get(index);
    if (before?.isFinal && !before.isLost) return;
    if (before?.url) setTimeout(() => URL.revokeObjectURL(before.url), 2000);
    this.kept.delete(index);
    this.kept.set(index, { url: blob ? URL.createObjectURL(blob) : null, isFinal, isLost: !blob && isFinal });
    for (const listener of this.listeners) listener(index, null);
    while (this.kept.size > this.most) {
      const [oldest, dropped] = this.kept.entries().next().value;
      if (this.wanted.includes(oldest)) break;
      if (dropped.url) URL.revokeObjectURL(dropped.url);
      this.kept.delete(oldest);
    }
  }
}
